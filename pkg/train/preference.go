package train

import (
	"errors"
	"fmt"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/prune"
)

// Losses over pairs of answers.
const (
	DPO   = "dpo"
	SimPO = "simpo"
)

// Preference is the preference section of a run file: learning from pairs of a chosen and a
// rejected answer to the same prompt.
type Preference struct {
	Loss      string  `yaml:"loss"`      // dpo (https://arxiv.org/abs/2305.18290) or simpo (https://arxiv.org/abs/2405.14734, without a reference); default none: answers are learned as text
	Beta      float64 `yaml:"beta"`      // scale of the rewards; default (0) 0.1 for dpo, 2 for simpo
	Margin    float64 `yaml:"margin"`    // by how much the chosen answer's reward is to exceed the rejected one's; default (-1) 0 for dpo, 1 for simpo
	Reference string  `yaml:"reference"` // dpo: model or run directory of the reference; default the model that the run starts from
}

// DefaultPreference is a run file without a preference section.
func DefaultPreference() Preference { return Preference{Margin: -1} }

// Enabled reports whether pairs of answers are learned from.
func (c Preference) Enabled() bool { return c.Loss != "" }

// Validate reports the first value that makes no sense, by key.
func (c Preference) Validate() error {
	switch {
	case c.Loss != "" && c.Loss != DPO && c.Loss != SimPO:
		return fmt.Errorf("preference.loss is %q, expected dpo or simpo", c.Loss)
	case !(c.Beta >= 0 && c.Beta <= 1000):
		return fmt.Errorf("preference.beta is %g, expected above 0 to 1000, or 0 for the default", c.Beta)
	case !(c.Margin == -1 || c.Margin >= 0 && c.Margin <= 1000):
		return fmt.Errorf("preference.margin is %g, expected 0 to 1000, or -1 for the default", c.Margin)
	case c.Reference != "" && c.Loss != DPO:
		return fmt.Errorf("preference.reference is %q and preference.loss %q: only dpo has a reference", c.Reference, c.Loss)
	case !c.Enabled() && (c.Beta != 0 || c.Margin != -1):
		return fmt.Errorf("preference.beta is %g and preference.margin %g without preference.loss: expected dpo or simpo", c.Beta, c.Margin)
	}
	return nil
}

// rule is how pairs in sequences of context tokens are judged.
func (c Preference) rule(context int) *graph.Preference {
	r := graph.Preference{T: context, Beta: float32(c.Beta), Margin: float32(c.Margin), Mean: c.Loss == SimPO}
	if c.Beta == 0 && r.Mean {
		r.Beta = 2
	} else if c.Beta == 0 {
		r.Beta = 0.1
	}
	if c.Margin < 0 {
		r.Margin = 0
		if r.Mean {
			r.Margin = 1
		}
	}
	return &r
}

// Prefer makes the loop learn from the pairs of answers of its batches. Lower must follow.
func (l *Loop) Prefer(c Preference) { l.preference = c.rule(l.Config.Context) }

// Rewards is what a model shows of pairs of answers.
type Rewards = prune.Rewards

// rewards is the sums of which Rewards are made.
type rewards [5]float64

const (
	ofChosen = iota
	ofRejected
	ordered // pairs whose chosen answer has the larger reward
	pairs
	losses
)

// add adds the rewards that a machine gave for a batch, by the rule.
func (r *rewards) add(rule graph.Preference, given []float32, b data.Batch) {
	for lo := 0; lo < len(b.Pairs); lo += 2 * rule.T {
		last := int32(-1)
		for _, column := range b.Pairs[lo:][:rule.T] {
			if column < 0 || column == last {
				continue
			}
			last = column
			chosen, rejected := float64(given[lo+int(column)]), float64(given[lo+rule.T+int(column)])
			r[ofChosen] += chosen
			r[ofRejected] += rejected
			r[losses] += kernel.SoftPlus(float64(rule.Margin) + rejected - chosen)
			r[pairs]++
			if chosen > rejected {
				r[ordered]++
			}
		}
	}
}

// means sums over the ranks and divides; nil where there was no pair.
func (r *rewards) means(g dist.Group) (*Rewards, error) {
	if err := g.SumFloat64(r[:]); err != nil || r[pairs] == 0 {
		return nil, err
	}
	n := r[pairs]
	return &Rewards{Chosen: r[ofChosen] / n, Rejected: r[ofRejected] / n, Margin: (r[ofChosen] - r[ofRejected]) / n, Accuracy: r[ordered] / n}, nil
}

// evaluation is that of held-out pairs.
func (r *rewards) evaluation(g dist.Group, rates []float64) (Evaluation, error) {
	judged, err := r.means(g)
	if err == nil && judged == nil {
		err = errors.New("evaluate: no pair of answers")
	}
	if err != nil {
		return Evaluation{}, err
	}
	return Evaluation{Loss: r[losses] / r[pairs], Tokens: int(r[pairs]), Rewards: judged, Rates: rates}, nil
}

package graph

import "github.com/ecospa/ecospa/pkg/kernel"

// Preference says how HeadLoss judges pairs of answers: see kernel.Preference.
type Preference = kernel.Preference

// The names by which a graph with BuildOptions.Preference takes, for each row, where its
// pair begins and the reference's log-likelihoods, and gives the rewards: see
// kernel.PreferenceRows.
const (
	PairsInput     = "pairs"
	ReferenceInput = "reference"
	RewardsOutput  = "rewards"
)

// headGradients are where a head's gradients go; nil for those that are not wanted.
type headGradients struct{ dx, dw, dbias []float32 }

// judge is run for pairs of answers: a first pass over the logits gives every token's loss,
// of which the pairs' losses and the factors of the tokens' gradients are made, and a second
// one the gradients. The pairs' losses are summed in Call.Out.
func (o head) judge(c *Call, ho kernel.HeadOptions, to headGradients) {
	x, w, n := c.In[0], c.In[1], c.In[0].Rows
	bias := []float32(nil)
	if o.bias {
		bias = c.In[4].F
	}
	more, scratch := c.In[len(c.In)-2:], kernel.HeadScratch(n, w.Rows)
	r := kernel.PreferenceRows{
		Pairs: more[0].IDs, Reference: more[1].F, NLL: c.Saved[partNLL], Rewards: c.Saved[partKL], Factors: c.Scratch[scratch:][:n],
	}
	ho.Scratch = c.Scratch[:scratch]
	in := kernel.HeadInput{X: x.F, W: w.F, Bias: bias, Targets: c.In[2].IDs, N: n, E: x.Cols, V: w.Rows}
	kernel.HeadLoss(c.Pool, in, ho, kernel.HeadOutput{NLL: r.NLL})
	c.Out[0] = float32(o.preference.Judge(r) * float64(ho.Scale))
	if !o.train {
		return
	}
	ho.Rows = r.Factors
	kernel.HeadLoss(c.Pool, in, ho, kernel.HeadOutput{NLL: r.NLL, DX: to.dx, DW: to.dw, DBias: to.dbias})
}

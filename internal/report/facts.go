package report

import (
	"cmp"
	"math"
	"slices"

	"github.com/ecospa/ecospa/pkg/train"
)

// Facts are the figures of a run. Optional ones are nil where the run does not say.
type Facts struct {
	Dir          string          `json:"dir"`
	Steps        int             `json:"steps"`
	Tokens       int64           `json:"tokens"`
	Seconds      float64         `json:"seconds"` // sum of the steps' wall times
	Finished     bool            `json:"finished"`
	Loss         float64         `json:"loss"`                // mean of the last steps, nats
	ValLoss      *float64        `json:"val_loss,omitempty"`  // newest, nats
	BestLoss     *float64        `json:"best_loss,omitempty"` // least validation loss, nats
	Before       *train.Snapshot `json:"before,omitempty"`    // before the first pruning event
	After        train.Snapshot  `json:"after"`
	PeakResident int64           `json:"peak_resident"` // bytes
	Events       []train.Event   `json:"events"`
	Load         float64         `json:"load,omitempty"` // of the machine at the end, where other programs ran
}

// recent is the number of steps whose median stands for a run at some point.
const recent = 20

// Facts is what the run says in figures; where there is no summary yet, what
// its metrics tell.
func (r *Run) Facts() Facts {
	last := r.Steps[len(r.Steps)-1]
	f := Facts{Dir: r.Dir, Steps: last.Step, Tokens: last.Tokens, Finished: r.Summary != nil, Events: []train.Event{}}
	first := -1
	for i, s := range r.Steps {
		// Records that were thinned out count as those before them.
		n := s.Step
		if i > 0 {
			n -= r.Steps[i-1].Step
		}
		f.Seconds = bounded(f.Seconds + s.Ms/1e3*float64(n))
		f.PeakResident = max(f.PeakResident, s.RSS)
		if s.ValLoss != nil {
			f.ValLoss = s.ValLoss
			if f.BestLoss == nil || *s.ValLoss < *f.BestLoss {
				f.BestLoss = s.ValLoss
			}
		}
		if s.Event != nil {
			f.Events = append(f.Events, *s.Event)
		}
		if s.Pruned && first < 0 {
			first = i
		}
	}
	tail := r.Steps[max(0, len(r.Steps)-recent):]
	for _, s := range tail {
		f.Loss = bounded(f.Loss + s.Loss/float64(len(tail)))
	}
	f.After = r.snapshot(len(r.Steps))
	if first >= 0 {
		s := r.snapshot(first)
		f.Before = &s
	}
	if s := r.Summary; s != nil {
		f.After, f.PeakResident, f.Load = s.After, max(f.PeakResident, s.PeakRSS), s.Load
		if s.Before != nil {
			f.Before = s.Before
		}
	}
	return f
}

// snapshot is the run before record n, from its metrics.
func (r *Run) snapshot(n int) train.Snapshot {
	var s train.Snapshot
	steps := r.Steps[:n]
	if n == 0 {
		return s
	}
	for _, x := range steps {
		if x.Memory != nil {
			s.Memory = *x.Memory
		}
		if x.ValLoss != nil {
			s.ValLoss, s.ValRewards, s.ValEMA = x.ValLoss, x.ValRewards, x.ValEMA
		}
	}
	last := steps[n-1]
	steps = steps[max(0, n-recent):]
	for len(steps) > 1 && steps[0].Params != last.Params {
		steps = steps[1:]
	}
	var ms, rate []float64
	for _, x := range steps {
		ms, rate = append(ms, x.Ms), append(rate, x.TokensPerS)
	}
	s.Step, s.Params, s.RSS = last.Step, last.Params, last.RSS
	s.Ms, s.TokensPerS = middle(ms), middle(rate)
	return s
}

// middle is the median, 0 of none.
func middle[T cmp.Ordered](x []T) (m T) {
	if len(x) == 0 {
		return m
	}
	s := slices.Sorted(slices.Values(x))
	return s[len(s)/2]
}

// bounded keeps a sum a number that JSON has, whatever a metrics.jsonl says.
func bounded(x float64) float64 { return min(max(x, -math.MaxFloat64), math.MaxFloat64) }

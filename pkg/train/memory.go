package train

import (
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// Memory is the planned bytes of a training run by purpose.
type Memory struct {
	Weights     int64 `json:"weights"`
	Gradients   int64 `json:"gradients"`
	Moments     int64 `json:"moments"`
	Activations int64 `json:"activations"`       // the machine's arena: activations, their gradients, saved statistics, but for what is InGradients
	Teacher     int64 `json:"teacher,omitempty"` // its weights and activations
	Average     int64 `json:"average,omitempty"` // the averaged weights of train.ema
	InGradients int64 `json:"lent,omitempty"`    // of the gradients: most that activations take of it before it is written; no more memory
}

// Total is the sum of all purposes.
func (m Memory) Total() int64 {
	return m.Weights + m.Gradients + m.Moments + m.Activations + m.Teacher + m.Average
}

// PlanMemory says what training set, its weights stored as t, with a machine of this plan and
// an optimizer takes. Gradients are the most of them at one time.
func PlanMemory(set *param.Set, t param.DType, plan *graph.Plan, o optim.Config) Memory {
	n := int64(set.Len())
	m := Memory{Weights: 4 * n, Gradients: 4 * n, Moments: optim.StateBytes(set, o), Activations: plan.ArenaBytes(), InGradients: plan.InGradientBytes()}
	if t != param.F32 {
		m.Weights = set.BytesAs(t)
	}
	if o.InBackward {
		m.Gradients = plan.GradientBytes()
		m.Activations -= m.Gradients
	}
	return m
}

// Memory is the loop's planned memory at its present shapes. The machine must
// have been lowered.
func (l *Loop) Memory() Memory {
	m := PlanMemory(l.Set, l.DType(), l.machine.Plan(), l.Optim)
	if l.adapters != nil {
		n := int64(l.adapters.Set.Len())
		m.Weights, m.Gradients, m.Moments = m.Weights+4*n, 4*n, optim.StateBytes(l.adapters.Set, l.Optim)
	}
	if l.sharded() {
		m.Moments = 0
		for _, s := range l.Opt.Slabs() {
			m.Moments += 4 * int64(len(s.Slab.Data))
		}
	}
	if l.average != nil {
		m.Average = 4 * int64(len(l.average.Data))
	}
	if l.teacher != nil {
		m.Teacher = l.teacher.bytes()
	}
	return m
}

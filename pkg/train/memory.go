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
	Activations int64 `json:"activations"` // the machine's arena: activations, their gradients, saved statistics
}

// Total is the sum of all purposes.
func (m Memory) Total() int64 { return m.Weights + m.Gradients + m.Moments + m.Activations }

// PlanMemory says what training set with a machine of this plan and an optimizer takes.
func PlanMemory(set *param.Set, plan *graph.Plan, o optim.Config) Memory {
	n := int64(set.Len())
	return Memory{Weights: 4 * n, Gradients: 4 * n, Moments: o.MomentBytes() * n, Activations: plan.ArenaBytes()}
}

// Memory is the loop's planned memory at its present shapes. The machine must
// have been lowered.
func (l *Loop) Memory() Memory { return PlanMemory(l.Set, l.machine.Plan(), l.Optim) }

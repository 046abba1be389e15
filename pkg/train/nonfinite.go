package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// Policies for a step whose loss or gradients are not finite.
const (
	Stop     = "stop"     // the run ends with a NonFiniteError
	Skip     = "skip"     // the batch is left out and the step made with the next one
	Rollback = "rollback" // Run returns the NonFiniteError; whoever called it goes back to a checkpoint
)

// maxSkips is how many batches in a row are skipped before the run ends: weights
// that give no finite loss for any batch do not get better by themselves.
const maxSkips = 10

// NonFiniteError is returned when a loss, a gradient or a weight is not a finite
// number. The weights are those of the step before.
type NonFiniteError struct {
	Step  int     // the one under way, from 1
	What  string  // "the loss", or the parameter and what of it
	Where string  // the operation and the parameters at which it began, as far as known
	Value float64 // the first that is not finite
}

func (e *NonFiniteError) Error() string {
	if e.Where != "" {
		return fmt.Sprintf("step %d: %s is %g (first %s)", e.Step, e.What, e.Value, e.Where)
	}
	return fmt.Sprintf("step %d: %s is %g", e.Step, e.What, e.Value)
}

func nonFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

// finiteLoss reports a loss that is not finite, and where it comes from: a weight,
// or else the first operation of the micro-batch just run.
func (l *Loop) finiteLoss(loss float64) error {
	if !nonFinite(loss) {
		return nil
	}
	sets := []*param.Set{l.Set}
	if l.adapters != nil {
		sets = append(sets, l.adapters.Set)
	}
	for _, set := range sets {
		for _, p := range set.Params {
			if w, bad := badWeight(set, p); bad {
				return &NonFiniteError{l.Step + 1, "the weight " + p.Name, "", w}
			}
		}
	}
	bad := &NonFiniteError{l.Step + 1, "the loss", "", loss}
	first, err := l.machine.FirstNonFinite()
	if first != nil {
		bad.Where = first.String()
	}
	return errors.Join(bad, err)
}

// finiteGradients reports a gradient norm that is not finite: of the parameters
// that have such a gradient the one nearest to the loss, where it began.
func (l *Loop) finiteGradients(norm float64) error {
	if !nonFinite(norm) {
		return nil
	}
	params := l.trained().Params
	for i := len(params) - 1; i >= 0; i-- {
		p := params[i]
		for _, g := range p.In(l.Grads) {
			if nonFinite(float64(g)) {
				return &NonFiniteError{l.Step + 1, "the gradient of " + p.Name, "", float64(g)}
			}
		}
	}
	return &NonFiniteError{l.Step + 1, "the gradient norm", "", norm}
}

// leftOut reports whether the policy skips the batch that gave err; its gradients
// are cleared then.
func (l *Loop) leftOut(err error) bool {
	var bad *NonFiniteError
	if l.OnNonFinite != Skip || !errors.As(err, &bad) || l.skipped == maxSkips {
		return false
	}
	l.skipped++
	clear(l.Grads.Data) // there are some: see checkManner
	if l.Skipped != nil {
		l.Skipped(bad)
	}
	return true
}

// gate is the gate gradients of one dimension for the batch under way: they
// become evidence once the step is known to be sound.
type gate struct {
	dim string
	r   []float32 // [sequences, lists·units] of the micro-batches so far
}

// hold keeps the micro-batch's gate gradients.
func (l *Loop) hold() {
	if l.Evidence == nil {
		l.gates = nil
		return
	}
	dims := l.Evidence.Gates()
	l.gates = l.gates[:min(len(l.gates), len(dims))]
	for i, dim := range dims {
		if i == len(l.gates) {
			l.gates = append(l.gates, gate{})
		}
		l.gates[i].dim = dim
		l.gates[i].r = append(l.gates[i].r, l.machine.Output("gate:"+dim)...)
	}
}

// elsewhere is the error of a rank that is sound where another's gate gradients are not.
func (l *Loop) elsewhere() error {
	return &NonFiniteError{l.Step + 1, "a gate gradient of another rank", "", math.NaN()}
}

// finiteGates reports a gate gradient of the batch that is not finite.
func (l *Loop) finiteGates() error {
	if l.Evidence == nil {
		return nil
	}
	for _, g := range l.gates {
		for _, r := range g.r {
			if y := float64(r) * float64(l.Batch); nonFinite(y) {
				return &NonFiniteError{l.Step + 1, "the gate gradient of " + g.dim, "", y}
			}
		}
	}
	return nil
}

// gather adds the batch's gate gradients to the evidence. The loss is a mean over
// the whole batch, so a sequence's own gradient, that of its mean loss, is Batch
// times larger.
func (l *Loop) gather() error {
	if l.Evidence == nil {
		return nil
	}
	for _, g := range l.gates {
		if err := l.Evidence.Add(g.dim, g.r, float32(l.Batch)); err != nil {
			return err
		}
	}
	return nil
}

// badWeight is a weight that is not finite. Weights of 8 bits are frozen: they are as they
// were read.
func badWeight(set *param.Set, p *param.Param) (float64, bool) {
	var wide [1024]float32
	b := set.Block(p.Block)
	w, from := b.Stored(set), p.Offset-b.Offset
	for lo := 0; lo < p.Size() && w.Q8 == nil; lo += len(wide) {
		x := wide[:min(len(wide), p.Size()-lo)]
		if w.BF16 != nil {
			kernel.FromBF16(x, w.BF16[from+lo:])
		} else {
			copy(x, w.F32[from+lo:])
		}
		for _, v := range x {
			if nonFinite(float64(v)) {
				return float64(v), true
			}
		}
	}
	return 0, false
}

package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// With optim.in_backward there is no slab of gradients: the optimizer updates each block of
// parameters during the backward pass (graph.LowerOptions.Update). What needs all gradients
// before the first update is defined otherwise:
//
//   - optim.clip: a block's gradient is scaled as if the global norm were the larger of that of
//     the step before and its own, so that no block's is longer than clip.
//   - train.micro_batch: a step is one pass.
//   - train.on_nonfinite: a loss that is not finite is found before the first update. A
//     gradient that is not is found when blocks nearer to the loss have been updated: the run
//     stops, or goes back to a checkpoint.
//   - ranks sum each block's gradient when it is complete.

// backward is the step under way.
type backward struct {
	ctx     context.Context
	update  optim.Step
	begun   bool    // the loss is known to all ranks, and finite
	loss    float64 // of all ranks
	squares float64 // of the gradients so far
}

// inBackward reports whether blocks are updated during the backward pass.
func (l *Loop) inBackward() bool { return l.Optim.InBackward }

// checkManner reports what does not go with updates during the backward pass, or with
// weights that are not float32.
func (l *Loop) checkManner() error {
	switch {
	case l.sharded() && l.DType() == param.BF16:
		return errors.New("train.weights bf16 does not go with train.shard_optimizer: ranks gather float32 weights")
	case !l.inBackward():
		return nil
	case l.adapters != nil:
		return errors.New("optim.in_backward does not go with lora: the gradients of adapters are small, leave it out")
	case l.MicroBatch != l.Batch/l.Group().Size():
		return fmt.Errorf("optim.in_backward makes a step of one pass, but train.micro_batch is %d of %d sequences: leave one of them out (summing passes takes the memory of all gradients)", l.MicroBatch, l.Batch/l.Group().Size())
	case l.sharded():
		return errors.New("optim.in_backward does not go with train.shard_optimizer: every rank updates every block")
	case l.OnNonFinite == Skip:
		return errors.New("optim.in_backward does not go with train.on_nonfinite skip: a step that has begun cannot be left out; expected stop or rollback")
	}
	return nil
}

// stepInBackward makes a step of one pass and returns its loss and the norm of its gradients.
func (l *Loop) stepInBackward(ctx context.Context, batch data.Batch, count int) (loss, norm float64, err error) {
	l.back = backward{ctx: ctx, update: optim.Step{Pool: l.Pool, Set: l.Set, LR: l.Optim.Rate(l.Step+1, l.Steps)}}
	if _, err := l.passes(batch, count); err != nil {
		var bad *NonFiniteError
		if errors.As(err, &bad) {
			err = bad
		}
		return 0, 0, err
	}
	gates := l.finiteGates()
	if l.Evidence != nil {
		_, _, bad, err := l.sumLoss(0, false, gates != nil)
		if err != nil {
			return 0, 0, err
		}
		if bad && gates == nil {
			gates = l.elsewhere()
		}
	}
	if gates != nil {
		return 0, 0, gates
	}
	if err := l.gather(); err != nil {
		return 0, 0, err
	}
	l.Step++
	l.Norm = math.Sqrt(l.back.squares)
	return l.back.loss, l.Norm, nil
}

// begin is what happens between the forward pass and the first update.
func (u *backward) begin(l *Loop) error {
	loss, stop, _, err := l.sumLoss(float64(l.machine.Output("loss")[0]), u.ctx.Err() != nil, false)
	if err != nil {
		return err
	}
	l.stop = l.many() && stop
	if err := l.finiteLoss(loss); err != nil {
		return err
	}
	u.begun, u.loss = true, loss
	l.Opt.Begin()
	return nil
}

// updateBlock updates a block by its gradient, once it is summed over the ranks.
func (l *Loop) updateBlock(b *param.Block, grad []float32) error {
	u := &l.back
	if !u.begun {
		if err := u.begin(l); err != nil {
			return err
		}
	}
	if l.sum != nil {
		if err := l.sum(grad); err != nil {
			return err
		}
	}
	square := kernel.SumSquares(l.Pool, grad)
	if nonFinite(square) {
		return l.finiteBlock(b, grad)
	}
	u.squares += square
	u.update.Norm = max(l.Norm, math.Sqrt(square))
	l.Opt.UpdateBlock(u.update, b, grad)
	return nil
}

// finiteBlock names the gradient of a block that is not finite.
func (l *Loop) finiteBlock(b *param.Block, grad []float32) error {
	for _, p := range b.Params {
		for _, g := range grad[p.Offset-b.Offset:][:p.Size()] {
			if nonFinite(float64(g)) {
				return &NonFiniteError{l.Step + 1, "the gradient of " + p.Name, "", float64(g)}
			}
		}
	}
	return &NonFiniteError{l.Step + 1, "the gradient norm of " + b.Name, "", math.Inf(1)}
}

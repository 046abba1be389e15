package train

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// Types in which gradients are sent (Config.Wire).
const (
	WireF32  = "f32"
	WireBF16 = "bf16"
)

// sumChunk is the elements from which a finished stretch of gradients is sent: 4
// MiB, where a message costs far more than its start.
const sumChunk = 1 << 20

// Join makes the loop one rank of a group: each step's batch is divided among the
// ranks, gradients and losses are summed. All ranks must have equal weights and make
// the same calls. It fails when the batch does not divide. Lower must follow.
func (l *Loop) Join(g dist.Group) error {
	if l.Batch%g.Size() != 0 {
		return fmt.Errorf("train.batch is %d sequences, which %d ranks do not divide", l.Batch, g.Size())
	}
	own := l.Batch / g.Size()
	if l.MicroBatch > own {
		l.MicroBatch = own
	}
	if own%l.MicroBatch != 0 {
		return fmt.Errorf("train.micro_batch is %d sequences, which does not divide the %d of train.batch that fall to each of %d ranks", l.MicroBatch, own, g.Size())
	}
	l.group = g
	if d, ok := l.Batches.(interface{ Deal(lo, hi int) }); ok { // each rank reads its own sequences
		d.Deal(dist.Share(l.Batch, g.Rank(), g.Size()))
	}
	if l.sharded() {
		optim.Close(l.Opt)
		l.Opt = l.newOptimizer()
	}
	if err := l.checkManner(); err != nil {
		return err
	}
	if g.Size() == 1 || l.sharded() {
		return nil
	}
	sum := g.Sum
	if l.Wire == WireBF16 {
		sum = g.SumBF16
	}
	if l.inBackward() {
		l.sum = sum
	} else {
		l.gradSum = &gradSum{sum: sum}
	}
	return nil
}

// Group is the ranks of the run; dist.Alone before Join.
func (l *Loop) Group() dist.Group {
	if l.group == nil {
		return dist.Alone{}
	}
	return l.group
}

// many reports whether there are other ranks.
func (l *Loop) many() bool { return l.Group().Size() > 1 }

// own is the rank's part of a batch.
func (l *Loop) own(b data.Batch) data.Batch {
	lo, hi := dist.Share(b.N, l.Group().Rank(), l.Group().Size())
	return b.Slice(lo, hi)
}

// gradSum sums gradients over the ranks while others are still being computed.
type gradSum struct {
	sum  func([]float32) error
	on   bool // the micro-batch under way is the step's last
	wait span // finished and not sent, until it is long enough
	sent []span
	work chan []float32
	done chan error
}

// span is a stretch of the gradient slab.
type span struct{ lo, hi int }

// begin starts sending what the next run finishes.
func (w *gradSum) begin(grads *param.Slab) {
	w.on, w.wait, w.sent = true, span{}, w.sent[:0]
	w.work, w.done = make(chan []float32, 64), make(chan error, 1)
	go func(work chan []float32, done chan error) {
		var err error
		for x := range work {
			if err == nil {
				err = w.sum(x)
			}
		}
		done <- err
	}(w.work, w.done)
}

// finished takes a stretch; neighbours go together.
func (w *gradSum) finished(grads *param.Slab, s span) {
	if !w.on {
		return
	}
	// Blocks are aligned: a gap of padding is part of the message.
	switch {
	case w.wait.hi == w.wait.lo:
		w.wait = s
	case s.hi <= w.wait.lo && w.wait.lo-s.hi < param.Align:
		w.wait.lo = s.lo
	case s.lo >= w.wait.hi && s.lo-w.wait.hi < param.Align:
		w.wait.hi = s.hi
	default:
		w.send(grads)
		w.wait = s
	}
	if w.wait.hi-w.wait.lo >= sumChunk {
		w.send(grads)
	}
}

func (w *gradSum) send(grads *param.Slab) {
	if s := w.wait; s.hi > s.lo {
		w.sent = append(w.sent, s)
		w.work <- grads.Data[s.lo:s.hi]
	}
	w.wait = span{}
}

// end waits for all sums. Every stretch must have been finished.
func (w *gradSum) end(grads *param.Slab, set *param.Set) error {
	w.send(grads)
	w.on = false
	close(w.work)
	if err := <-w.done; err != nil {
		return err
	}
	n := 0
	for _, s := range w.sent {
		n += s.hi - s.lo
	}
	if n < set.Count() {
		return fmt.Errorf("train: gradients of %d elements were summed over the ranks, expected %d or more", n, set.Count())
	}
	return nil
}

// sumLoss sums the loss over the ranks; stop and bad are true when they are on any.
func (l *Loop) sumLoss(loss float64, stop, bad bool) (float64, bool, bool, error) {
	v := []float64{loss, 0, 0}
	if stop {
		v[1] = 1
	}
	if bad {
		v[2] = 1
	}
	err := l.Group().SumFloat64(v)
	return v[0], v[1] > 0, v[2] > 0, err
}

// MergeEvidence gives rank 0 the evidence of all ranks; the others begin anew, so
// that the sum over ranks stays what was seen. All ranks must call it.
func (l *Loop) MergeEvidence() error {
	if l.Evidence == nil || !l.many() {
		return nil
	}
	g := l.Group()
	if err := l.Evidence.Merge(g.SumFloat64, g.Sum); err != nil {
		return err
	}
	if g.Rank() != 0 {
		l.Evidence.Reset()
	}
	return nil
}

// same fails unless all ranks have the same weights.
func (l *Loop) same(what string) error {
	if !l.many() {
		return nil
	}
	return dist.Agree(l.Group(), what, weightsSum(l.Set))
}

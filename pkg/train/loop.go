package train

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// ErrInterrupted is returned by Loop.Run when its context was cancelled: the
// step under way was finished and the End hooks have run.
var ErrInterrupted = errors.New("train: interrupted")

// Loop trains one model. Its exported fields are what hooks may read; the
// parameters change shape only through Rewrite.
type Loop struct {
	Config
	Optim    optim.Config // resolved
	Model    model.Model
	Set      *param.Set
	Grads    *param.Slab // nil with optim.in_backward
	Opt      optim.Interface
	Evidence *coupled.Evidence // gathered in every step; nil when nobody asks for it
	// EvidenceDecay multiplies the evidence after every step, since the weights
	// it was gathered at have moved. 1 forgets nothing.
	EvidenceDecay float64
	Pool          *kernel.Pool
	Batches       Batches

	Step   int     // optimizer steps made
	Norm   float64 // global L2 norm of the newest step's gradients
	Tokens int64   // predicted tokens seen
	Last   Record  // of the newest step; hooks may add to it before it is written

	// LayersEvery is the steps between those whose Record has Layers; 0 is none.
	LayersEvery int
	// Skipped is told of a batch that Config.OnNonFinite leaves out; may be nil.
	Skipped func(*NonFiniteError)

	hooks    []Hook
	machine  *graph.Machine
	group    dist.Group      // nil: alone
	gradSum  *gradSum        // nil: alone
	stop     bool            // the ranks have agreed to stop before the next step
	gates    []gate          // of the batch under way
	adapters *model.Adapters // trained instead of Set; nil: Set is trained
	teacher  *teacherModel   // nil: the data alone is learned
	// preference is how pairs of answers are judged; nil: tokens are predicted. judged is the
	// rewards of the step under way.
	preference *graph.Preference
	judged     rewards
	skipped    int         // batches left out since the last step
	average    *param.Slab // of the weights, with Config.EMA; nil: none
	layers     []LayerNorm // of the step under way, where it is watched

	back backward              // the step under way, with optim.in_backward
	sum  func([]float32) error // over the ranks, with optim.in_backward; nil: alone
}

// Batches is where a loop's sequences come from.
type Batches interface {
	// Next is the next batch, of Config.Batch sequences. It is good until the next call.
	Next() (data.Batch, error)
}

// documents reports whether the batches are packed of documents, as data.Batches says.
func (l *Loop) documents() bool {
	b, ok := l.Batches.(interface{ Documents() bool })
	return ok && b.Documents()
}

// NewLoop prepares training from the parameters' present values. The
// configurations must be resolved and valid.
func NewLoop(c Config, o optim.Config, m model.Model, set *param.Set, pool *kernel.Pool, batches Batches) *Loop {
	l := &Loop{
		Config: c, Optim: o, Model: m, Set: set, Pool: pool, Batches: batches,
		Opt: optim.New(set, o), EvidenceDecay: 1,
	}
	if !l.inBackward() {
		l.Grads = set.NewSlab()
	}
	return l
}

// Attach adds a hook behind those attached before.
func (l *Loop) Attach(h Hook) { l.hooks = append(l.hooks, h) }

// Close releases everything the loop owns but the parameters.
func (l *Loop) Close() {
	if l.machine != nil {
		l.machine.Close()
	}
	if l.teacher != nil {
		l.teacher.close()
	}
	if l.adapters != nil {
		l.adapters.Set.Weights.Close()
	}
	if l.average != nil {
		l.average.Close()
	}
	l.closeGrads()
	optim.Close(l.Opt)
}

func (l *Loop) closeGrads() {
	if l.Grads != nil {
		l.Grads.Close()
	}
}

// Lower builds the training machine for the parameters' present shapes.
func (l *Loop) Lower() error {
	recompute, err := graph.ParseRecompute(l.Recompute)
	if err != nil {
		return err
	}
	if err := l.checkManner(); err != nil {
		return err
	}
	if l.adapters == nil && l.DType() == param.Q8 {
		return errors.New("train.weights is q8_0, which cannot be trained: expected f32 or bf16, or lora.rank for adapters beside them")
	}
	s := shape{
		batch: l.MicroBatch, context: l.Context, bf16: l.Precision == "bf16", smoothing: l.Smoothing,
		grads: l.Grads, taps: l.Evidence != nil, layers: l.Evidence != nil && l.Evidence.WholeLayers(), reuse: l.machine, recompute: recompute, inGradients: l.once(),
		adapters: l.adapters, teacher: l.teacher, documents: l.documents(), preference: l.preference,
	}
	if l.inBackward() {
		s.update = l.updateBlock
	}
	if l.gradSum != nil {
		s.finished = func(lo, hi int) { l.gradSum.finished(l.Grads, span{lo, hi}) }
	}
	m, err := lower(l.Model, l.Set, l.Pool, s)
	if err != nil {
		return err
	}
	if l.machine != nil && l.Grads != nil {
		clear(l.Grads.Data) // another machine may not overwrite what the one before did
	}
	l.machine = m
	return nil
}

// Watch begins to gather evidence from gates; Lower must follow.
func (l *Loop) Watch(o coupled.Options) { l.Gather(coupled.NewEvidence(l.Set, o)) }

// Gather makes the steps gather evidence.
func (l *Loop) Gather(e *coupled.Evidence) {
	e.Sees = func(layer int) (bool, int) { return model.Sees(l.Model, l.Set, layer) }
	l.Evidence = e
}

// Machine is the machine that runs the steps, nil before the first Lower.
func (l *Loop) Machine() *graph.Machine { return l.machine }

// FLOPs is the operations of the matrix products of a step on all ranks, those of a teacher's
// forward passes included.
func (l *Loop) FLOPs() float64 {
	n := l.machine.Plan().FLOPs()
	if l.teacher != nil {
		n += l.teacher.machine.Plan().FLOPs()
	}
	return float64(n) * float64(l.Batch/l.MicroBatch)
}

// ForwardFLOPs is the operations of the matrix products of a forward pass over a micro-batch.
func (l *Loop) ForwardFLOPs() float64 { return float64(l.machine.Plan().ForwardFLOPs()) }

// Run makes the steps that are left, then calls the End hooks.
func (l *Loop) Run(ctx context.Context) error {
	if l.machine == nil {
		if err := l.Lower(); err != nil {
			return err
		}
	}
	err := l.each(func(h Hook) func(*Loop) error { return h.Start })
	for err == nil && l.Step < l.Steps {
		if l.stop || !l.many() && ctx.Err() != nil {
			err = ErrInterrupted
			break
		}
		if err = l.step(ctx); err == nil {
			l.skipped = 0
			err = l.each(func(h Hook) func(*Loop) error { return h.Step })
		} else if l.leftOut(err) {
			err = nil
		}
	}
	if err != nil && !errors.Is(err, ErrInterrupted) {
		return err
	}
	return errors.Join(err, l.each(func(h Hook) func(*Loop) error { return h.End }))
}

func (l *Loop) each(pick func(Hook) func(*Loop) error) error {
	for _, h := range l.hooks {
		if f := pick(h); f != nil {
			if err := f(l); err != nil {
				return fmt.Errorf("%s: %w", h.Name, err)
			}
		}
	}
	return nil
}

// once reports whether a step is one run of the machine, so that its gradients'
// memory is free until they are written.
func (l *Loop) once() bool {
	return !l.inBackward() && l.adapters == nil && l.MicroBatch == l.Batch/l.Group().Size()
}

// run runs the machine; the first micro-batch of a step overwrites gradients where
// it can.
func (l *Loop) run(first bool) error {
	if first && !l.inBackward() {
		return l.machine.RunFresh()
	}
	return l.machine.RunAll()
}

// step is one optimizer step. With a NonFiniteError nothing but Grads has changed, unless
// blocks are updated during the backward pass.
func (l *Loop) step(ctx context.Context) error {
	start := time.Now()
	batch, err := l.Batches.Next()
	if err != nil {
		return err
	}
	predicted, count := batch.Predicted(), batch.Count()
	batch = l.own(batch)
	l.judged = rewards{}
	for i := range l.gates {
		l.gates[i].r = l.gates[i].r[:0]
	}
	how := l.stepWhole
	if l.inBackward() {
		how = l.stepInBackward
	}
	loss, norm, err := how(ctx, batch, count)
	if err != nil {
		return err
	}
	l.Tokens += int64(predicted)
	l.addAverage()
	if l.Evidence != nil {
		l.Evidence.Decay(l.EvidenceDecay)
	}
	took := time.Since(start)
	rss, _ := sysmem.Resident()
	l.Last = Record{
		Step: l.Step, Loss: loss, LR: l.Optim.Rate(l.Step, l.Steps), GradNorm: norm, Ms: took.Seconds() * 1e3,
		TokensPerS: float64(predicted) / took.Seconds(), RSS: rss, Params: l.Set.Count(), Tokens: l.Tokens, Layers: l.layers,
	}
	if l.preference != nil {
		l.Last.Rewards, err = l.judged.means(l.Group())
	}
	return err
}

// passes runs the machine on the micro-batches of a batch and returns the sum of their
// losses, each divided by count. It ends early where that is not finite and no other rank waits for this one.
func (l *Loop) passes(batch data.Batch, count int) (loss float64, err error) {
	for lo := 0; lo < batch.N; lo += l.MicroBatch {
		if err := batch.Slice(lo, lo+l.MicroBatch).Feed(l.machine, 1/float32(max(1, count))); err != nil {
			return 0, err
		}
		if l.teacher != nil {
			if err := l.teacher.show(l.machine, batch.Slice(lo, lo+l.MicroBatch)); err != nil {
				return 0, err
			}
		}
		if l.gradSum != nil && lo+l.MicroBatch == batch.N {
			l.gradSum.begin(l.Grads)
		}
		if err := l.run(lo == 0); err != nil {
			return 0, fmt.Errorf("step %d: %w", l.Step+1, err)
		}
		loss += float64(l.machine.Output("loss")[0])
		if nonFinite(loss) && !l.many() {
			break
		}
		if l.preference != nil {
			l.judged.add(*l.preference, l.machine.Output(graph.RewardsOutput), batch.Slice(lo, lo+l.MicroBatch))
		}
		l.hold()
	}
	return loss, nil
}

// stepWhole sums the gradients of the micro-batches in Grads, then the optimizer updates
// the weights and clears them.
func (l *Loop) stepWhole(ctx context.Context, batch data.Batch, count int) (loss, norm float64, err error) {
	if loss, err = l.passes(batch, count); err != nil {
		return 0, 0, err
	}
	if l.gradSum != nil {
		if err := l.gradSum.end(l.Grads, l.trained()); err != nil {
			return 0, 0, err
		}
	}
	gates := l.finiteGates()
	loss, stop, bad, err := l.sumLoss(loss, ctx.Err() != nil, gates != nil)
	l.stop = l.many() && stop
	if err != nil {
		return 0, 0, err
	}
	if err := l.finiteLoss(loss); err != nil {
		return 0, 0, err
	}
	if l.sharded() {
		if norm, err = l.scatter(); err != nil {
			return 0, 0, err
		}
	} else {
		norm = optim.GradNorm(l.Pool, l.Grads)
	}
	if err := l.finiteGradients(norm); err != nil {
		return 0, 0, err
	}
	switch {
	case gates != nil:
		return 0, 0, gates
	case bad:
		return 0, 0, l.elsewhere()
	}
	if err := l.gather(); err != nil {
		return 0, 0, err
	}
	l.Step++
	l.Norm = norm
	lr := l.Optim.Rate(l.Step, l.Steps)
	watch, err := l.watchLayers()
	if err != nil {
		return 0, 0, err
	}
	l.Opt.Update(optim.Step{Pool: l.Pool, Set: l.trained(), Grads: l.Grads, LR: lr, Norm: norm, Stale: l.machine.Overwrites})
	if l.sharded() {
		err = l.group.Gather(l.trained().Weights.Data, l.bounds())
	}
	l.layers = l.watched(watch)
	return loss, norm, err
}

package run

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/train"
)

// available is the machine's memory; tests have others.
var available = sysmem.Available

// checkRoom compares what the run plans to take with the memory and the disk that
// there are, before it takes any of it. resident is what of the plan is in memory
// already. Options.Force makes a refusal a note.
func (j *Job) checkRoom(shapes *param.Set, resident int64) error {
	err := j.checkMemory(shapes, resident)
	if err == nil {
		err = j.checkDisk(shapes)
	}
	if tooSmall, ok := err.(tooLarge); ok && j.Force {
		j.tell(Note("note: " + oneLine(tooSmall)))
		return nil
	}
	return err
}

func (j *Job) checkMemory(shapes *param.Set, resident int64) error {
	m, err := train.Footprint(j.perRank(), j.cfg.Optim, j.cfg.LoRA, j.bundle.Model, shapes, j.cfg.Prune.Enabled())
	if err != nil {
		return fault.Usage(err)
	}
	free, by, known := available()
	if !known || m.Total() <= free+resident {
		return nil
	}
	return tooLarge{fmt.Errorf("training this model takes %s (weights %s, gradients %s, moments %s, activations %s), but %s has %s left; make train.micro_batch or the model smaller",
		units.Bytes(m.Total()), units.Bytes(m.Weights), units.Bytes(m.Gradients), units.Bytes(m.Moments), units.Bytes(m.Activations), by, units.Bytes(free+resident))}
}

// perRank is the train section as it is for one rank.
func (j *Job) perRank() train.Config {
	c := j.cfg.Train
	c.Batch = max(1, c.Batch/j.Ranks.Size())
	c.MicroBatch = min(c.MicroBatch, c.Batch)
	return c
}

// checkDisk compares the free disk with what the run's checkpoints need: weights and
// the optimizer's state each, as many at a time as the policy has.
func (j *Job) checkDisk(shapes *param.Set) error {
	if !j.Ranks.lead() {
		return nil
	}
	there, err := checkpoint.Checkpoints(j.cfg.Out)
	if err != nil {
		return err
	}
	if j.replace {
		there = nil
	}
	most := j.cfg.Checkpoint.Most(j.cfg.Train.Steps)
	// A checkpoint's weights are float32 whatever they are kept in: it holds norms and biases, too.
	one := 4*int64(shapes.Count()) + optim.StateBytes(shapes, j.cfg.Optim)
	if j.frozen() {
		a, err := param.Layout(j.cfg.LoRA.Specs(shapes))
		if err != nil {
			return err
		}
		one = 4*int64(a.Count()) + optim.StateBytes(a, j.cfg.Optim)
	}
	need := one * int64(max(1, most-len(there)))
	if _, err := checkpoint.Room(j.cfg.Out, need); err != nil {
		return tooLarge{fmt.Errorf("%w (%d of %s at a time); lower checkpoint.keep_last or keep fewer for good", err, most, units.Bytes(one))}
	}
	return nil
}

// Preflight is what a run needs, told before its first step.
type Preflight struct {
	Family                     string
	Params, Vocab, Context     int
	Images                     bool
	Training, Validation       int // images, or tokens
	Memory                     train.Memory
	Ranks, Sequences           int // of a step each; Ranks is 1 without others
	Library                    string
	Steps                      int // that are left
	Batch                      int // tokens, or images, of a step
	FLOPs                      float64
	Evaluations, Evaluated     int     // that are left, and held-out tokens or images of each
	EvaluationFLOPs            float64 // of one
	Threads                    int
	Rate                       float64 // FLOP/s that matrix products reach, of all ranks
	Load                       float64 // of the last minute
	Cores                      int
	Busy                       bool // more threads wanted a core than there are: Rate is too low
	Prunes                     bool
	PruneTo, Events, FirstStep int // of a run that prunes and has made no step
}

// Duration is how long the steps and evaluations that are left take at most, by the rate.
func (p Preflight) Duration() time.Duration {
	return units.Seconds((float64(p.Steps)*p.FLOPs + float64(p.Evaluations)*p.EvaluationFLOPs) / (0.6 * p.Rate))
}

func (p Preflight) String() string {
	var b strings.Builder
	unit := "tokens"
	if p.Images {
		unit = "images"
		fmt.Fprintf(&b, "model     %s, %s parameters (%d), %d classes, an image is %d tokens\n", p.Family, units.Count(float64(p.Params)), p.Params, p.Vocab, p.Context)
		fmt.Fprintf(&b, "data      %d images for training, %d held out for validation\n", p.Training, p.Validation)
	} else {
		fmt.Fprintf(&b, "model     %s, %s parameters (%d), vocabulary %d, context %d\n", p.Family, units.Count(float64(p.Params)), p.Params, p.Vocab, p.Context)
	}
	m := p.Memory
	fmt.Fprintf(&b, "memory    %s: weights %s, gradients %s, moments %s, activations %s (%s more of them reuse the gradients' memory)\n",
		units.Bytes(m.Total()), units.Bytes(m.Weights), units.Bytes(m.Gradients), units.Bytes(m.Moments), units.Bytes(m.Activations), units.Bytes(m.InGradients))
	if p.Ranks > 1 {
		fmt.Fprintf(&b, "ranks     %d of %s, %d sequences of each step and %d threads each\n", p.Ranks, p.Library, p.Sequences, p.Threads)
	}
	fmt.Fprintf(&b, "work      %d steps of %d %s, %sFLOP a step%s; %s at %.0f GFLOP/s: about %s at most",
		p.Steps, p.Batch, unit, units.Count(p.FLOPs), p.evaluations(unit), units.Plural(p.Threads, "thread"), p.Rate/1e9, units.Clock(p.Duration()))
	if p.Prunes {
		fmt.Fprintf(&b, ", less after pruning")
	}
	if p.Busy {
		fmt.Fprintf(&b, "\nbusy      load %.1f on %s: other programs run, so times, speeds and the MFU say little", p.Load, units.Plural(p.Cores, "core"))
	}
	if p.PruneTo > 0 {
		fmt.Fprintf(&b, "\npruning   to %d parameters in %d events from step %d on", p.PruneTo, p.Events, p.FirstStep)
	}
	return b.String()
}

// evaluations names what evaluations add to the steps' work; unit is tokens or images.
func (p Preflight) evaluations(unit string) string {
	if p.Evaluations == 0 {
		return ""
	}
	return fmt.Sprintf(", and %s of %d held-out %s (train.eval_tokens limits them), %sFLOP each", units.Plural(p.Evaluations, "evaluation"), p.Evaluated, unit, units.Count(p.EvaluationFLOPs))
}

// preflight tells what the run needs. The loop must have been lowered.
func (j *Job) preflight() {
	c, l := j.cfg.Train, j.loop
	p := Preflight{
		Family: j.bundle.Model.Family(), Params: j.bundle.Set.Count(), Vocab: j.bundle.Model.Vocab(), Context: j.bundle.Model.Context(), Images: j.images(),
		Memory: l.Memory(), Ranks: j.Ranks.Size(), Sequences: c.Batch / j.Ranks.Size(), Library: j.Ranks.Library,
		Steps: max(0, c.Steps-l.Step), Batch: c.Batch * c.Context, FLOPs: l.FLOPs(),
		Threads: j.pool.Threads(), Rate: productRate(j.pool, c.Precision == "bf16") * float64(j.Ranks.Size()), Prunes: j.pruner != nil,
	}
	j.rate = p.Rate
	p.Load, p.Cores, p.Busy = sysmem.Busy()
	p.Training, p.Validation = j.work.Counts()
	batch := l.MicroBatch * c.Context
	if p.Images {
		p.Batch, batch = c.Batch, l.MicroBatch
	}
	if p.Evaluated = p.Validation; c.EvalTokens > 0 {
		p.Evaluated = min(p.Validation, c.EvalTokens)
	}
	if p.Evaluated > 0 {
		p.Evaluations = evaluationsLeft(l.Step, c.Steps, c.EvalEvery)
		p.EvaluationFLOPs = l.ForwardFLOPs() * float64(p.Evaluated) / float64(batch)
	}
	if j.pruner != nil && l.Step == 0 {
		p.PruneTo, p.Events, p.FirstStep = j.pruner.Goal.Params, j.pruner.Config.Events, j.firstEvent()
	}
	j.tell(p)
}

// evaluationsLeft counts the evaluations from step on to the last of steps: one at the start,
// one every that many steps, one at the end.
func evaluationsLeft(step, steps, every int) int {
	n := steps/every - step/every
	if step == 0 {
		n++
	}
	if steps%every != 0 && step < steps {
		n++
	}
	return n
}

// productRate measures what the matrix products reach here, in FLOP/s: the fastest of the
// square products that a tenth of a second holds, so that other programs' turns count little.
func productRate(p *kernel.Pool, bf16 bool) float64 {
	const n = 384
	buf := make([]float32, 3*n*n)
	for i := range buf {
		buf[i] = 1
	}
	a, b, c := kernel.Mat(buf[:n*n], n, n), kernel.Mat(buf[n*n:2*n*n], n, n), kernel.Mat(buf[2*n*n:], n, n)
	kernel.MatMul(p, c, a, b, kernel.Product{BF16: bf16})
	fastest := math.Inf(1)
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); {
		start := time.Now()
		for range 4 {
			kernel.MatMul(p, c, a, b, kernel.Product{BF16: bf16})
		}
		fastest = min(fastest, time.Since(start).Seconds())
	}
	return 4 * 2 * n * n * n / fastest
}

package cmd

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/train"
)

// train runs the loop; an interruption has been saved when it returns.
func (j *job) train(ctx context.Context) error {
	if err := j.loop.Lower(); err != nil {
		return err
	}
	j.preflight()
	for {
		err := j.loop.Run(ctx)
		switch {
		case j.unsaved != nil && !errors.Is(j.unsaved, checkpoint.ErrNonFinite):
			return fmt.Errorf("the checkpoint of step %d could not be written: %w; %s", j.loop.Step, j.unsaved, j.lastGood())
		case j.unsaved != nil:
			err = fmt.Errorf("the checkpoint of step %d was not written: %w", j.loop.Step, j.unsaved)
		case errors.Is(err, train.ErrInterrupted):
			fmt.Fprintf(j.log, "stopped after step %d of %d; go on with: ecospa %s --resume --out %s\n", j.loop.Step, j.loop.Steps, j.command, j.run.Out)
			return errInterrupted
		}
		back, err := j.rollback(err)
		if !back {
			return err
		}
	}
}

// preflight prints what the run needs before its first step.
func (j *job) preflight() {
	m, c := j.loop.Memory(), j.run.Train
	plan := j.loop.Machine().Plan()
	flops := float64(plan.FLOPs()) * float64(c.Batch/j.loop.MicroBatch)
	tokens := c.Batch * c.Context
	left := c.Steps - j.loop.Step
	rate := productRate(j.pool, c.Precision == "bf16")
	unit := "tokens"
	if j.pics != nil {
		unit, tokens = "images", c.Batch
		fmt.Fprintf(j.log, "model     %s, %s parameters (%d), %d classes, an image is %d tokens\n", j.m.Family(), units.Count(float64(j.set.Count())), j.set.Count(), j.m.Vocab(), j.m.Context())
		fmt.Fprintf(j.log, "data      %d images to learn from, %d held out\n", j.pics.train.Len(), j.pics.held.Len())
	} else {
		fmt.Fprintf(j.log, "model     %s, %s parameters (%d), vocabulary %d, context %d\n", j.m.Family(), units.Count(float64(j.set.Count())), j.set.Count(), j.m.Vocab(), j.m.Context())
	}
	fmt.Fprintf(j.log, "memory    %s: weights %s, gradients %s, moments %s, activations %s (%s more of them in the gradients' memory, before it is needed)\n",
		units.Bytes(m.Total()), units.Bytes(m.Weights), units.Bytes(m.Gradients), units.Bytes(m.Moments), units.Bytes(m.Activations), units.Bytes(m.Lent))
	if j.ranks.many() {
		rate *= float64(j.ranks.Size())
		fmt.Fprintf(j.log, "ranks     %d of %s, %d sequences of each step and %d threads each\n", j.ranks.Size(), j.ranks.world.Library(), c.Batch/j.ranks.Size(), j.pool.Threads())
	}
	fmt.Fprintf(j.log, "work      %d steps of %d %s, %sFLOP a step; %d threads at %.0f GFLOP/s: about %s at most, less after pruning\n",
		left, tokens, unit, units.Count(flops), j.pool.Threads(), rate/1e9, units.Clock(units.Seconds(float64(left)*flops/(0.6*rate))))
	if j.pruner != nil && j.loop.Step == 0 {
		fmt.Fprintf(j.log, "pruning   to %d parameters in %d events from step %d on\n", j.pruner.Goal.Params, j.pruner.Config.Events, j.firstEvent())
	}
}

func (j *job) firstEvent() int {
	for s := 1; s < j.loop.Steps; s++ {
		if _, due := j.run.Prune.Schedule().At(s, j.loop.Steps); due {
			return s
		}
	}
	return 0
}

// evalStart evaluates before the first step.
func (j *job) evalStart(l *train.Loop) error {
	if l.Step > 0 {
		return nil
	}
	return j.evaluate(l)
}

// evalStep evaluates when it is time, and before the first pruning event, of
// which it takes the snapshot.
func (j *job) evalStep(l *train.Loop) error {
	j.recent = append(j.recent, l.Last)
	if len(j.recent) > 20 {
		j.recent = j.recent[1:]
	}
	first := false
	if j.pruner != nil && j.before == nil {
		_, first = j.run.Prune.Schedule().At(l.Step, l.Steps)
	}
	if l.Step%l.EvalEvery == 0 || l.Step == l.Steps || first {
		if err := j.evaluate(l); err != nil {
			return err
		}
	}
	if first {
		s := j.snapshot(l)
		j.before = &s
		j.recent = nil
	}
	return nil
}

func (j *job) evaluate(l *train.Loop) error {
	held := j.validation(l.MicroBatch)
	if held == nil {
		return nil
	}
	e, err := l.NewEvaluator()
	if err != nil {
		return err
	}
	defer e.Close()
	v, err := e.RunOn(j.ranks, held)
	if err != nil {
		return err
	}
	if math.IsNaN(v.Loss) || math.IsInf(v.Loss, 0) {
		return &train.NonFiniteError{Step: l.Step, What: "the validation loss", Value: v.Loss}
	}
	j.evals = append(j.evals, evalPoint{l.Step, v.Loss, v.Top1})
	if j.enough() && l.Step < l.Steps {
		j.show.say("step %d: %d evaluations in a row without a lower validation loss: the run ends here", l.Step, j.run.Train.Patience)
		l.Steps = l.Step
	}
	if l.Step > 0 {
		l.Last.ValLoss = &v.Loss
	}
	if j.pics != nil {
		j.show.say("step %d: validation loss %.4f, top-1 %.2f %% (%d images)", l.Step, v.Loss, 100*v.Top1, v.Tokens)
		return nil
	}
	j.show.say("step %d: validation loss %.4f, perplexity %.2f (%d tokens)%s", l.Step, v.Loss, v.Perplexity(), v.Tokens, j.distance(v.Loss))
	return nil
}

// enough reports whether train.patience is at its end.
func (j *job) enough() bool {
	best, since := math.Inf(1), 0
	for _, e := range j.evals {
		if since++; e.Loss < best-j.run.Train.MinDelta {
			best, since = e.Loss, 0
		}
	}
	return j.run.Train.Patience > 0 && since >= j.run.Train.Patience
}

// improved reports whether the step's evaluation is the lowest so far.
func (j *job) improved(l *train.Loop) bool {
	n := len(j.evals)
	return n > 0 && j.evals[n-1].Step == l.Step && j.evals[n-1].Loss < j.best.Loss
}

// entropyPerToken is the corpus's own entropy in nats a token of its validation
// part, where the generator knows it; NaN elsewhere.
func (j *job) entropyPerToken() float64 {
	if len(j.held) == 0 {
		return math.NaN()
	}
	return j.corpus.Validation.Entropy / float64(len(j.held))
}

func (j *job) distance(loss float64) string {
	h := j.entropyPerToken()
	if math.IsNaN(h) {
		return ""
	}
	return fmt.Sprintf("; the corpus's entropy is %.4f, the distance %.4f", h, loss-h)
}

// snapshot is how the run stands now.
func (j *job) snapshot(l *train.Loop) train.Snapshot {
	ms := make([]float64, len(j.recent))
	rate := make([]float64, len(j.recent))
	for i, r := range j.recent {
		ms[i], rate[i] = r.Ms, r.TokensPerS
	}
	rss, _ := sysmem.Resident()
	s := train.Snapshot{Step: l.Step, Params: l.Set.Count(), Memory: l.Memory(), Ms: units.Median(ms), TokensPerS: units.Median(rate), RSS: rss}
	if n := len(j.evals); n > 0 {
		s.ValLoss = &j.evals[n-1].Loss
		if j.pics != nil {
			s.ValTop1 = &j.evals[n-1].Top1
		}
	}
	return s
}

// record writes the step's line of metrics.jsonl. A disk that does not take it
// does not stop the run.
func (j *job) record(l *train.Loop) error {
	if m := l.Memory(); m != j.planned {
		j.planned, l.Last.Memory = m, &m
	}
	if mean, spike := j.spike.Add(l.Last.Loss); spike {
		j.show.say("step %d: loss %.4f is a spike over the running mean, %.4f (gradient norm %.3g)", l.Step, l.Last.Loss, mean, l.Last.GradNorm)
	}
	err := j.metrics.Write(l.Last)
	if err != nil && !j.mute {
		j.show.say("step %d: metrics.jsonl cannot be written (%s); its lines are kept and written when it can", l.Step, oneLine(err))
	}
	j.mute = err != nil
	return nil
}

func (j *job) planFailed(err error) {
	j.show.say("a plan cannot be written yet (%s); it is kept and written with the next checkpoint", oneLine(err))
}

func (j *job) reportSkipped(e *train.NonFiniteError) {
	j.show.say("%s; the batch is skipped", e)
}

// reportEvent says what a pruning event did.
func (j *job) reportEvent(e train.Event) {
	j.recent = nil
	j.show.say("step %d: pruned %d -> %d parameters, planned memory %s -> %s, resident %s -> %s (%s, plans/%s)",
		e.Step, e.ParamsBefore, e.ParamsAfter, units.Bytes(e.PlannedFrom), units.Bytes(e.PlannedTo),
		units.Bytes(e.RSSBefore), units.Bytes(e.RSSAfter), e.Took.Round(1e6), e.Plan)
}

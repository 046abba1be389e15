package run

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

// Train makes the steps that are left and finishes the run. An interruption by ctx
// is saved when it returns, with an Interrupted. The result is that of the lead; nil
// on other ranks.
func (j *Job) Train(ctx context.Context) (*Result, error) {
	if err := j.loop.Lower(); err != nil {
		return nil, err
	}
	j.preflight()
	if err := j.steps(ctx); err != nil || !j.Ranks.lead() {
		return nil, err
	}
	return j.finish()
}

// steps runs the loop, from a checkpoint again where it has to go back to one.
func (j *Job) steps(ctx context.Context) error {
	for {
		err := j.loop.Run(ctx)
		switch {
		case j.unsaved != nil && !errors.Is(j.unsaved, checkpoint.ErrNonFinite):
			return fmt.Errorf("the checkpoint of step %d could not be written: %w; %s", j.loop.Step, j.unsaved, j.lastGood())
		case j.unsaved != nil:
			err = fmt.Errorf("the checkpoint of step %d was not written: %w", j.loop.Step, j.unsaved)
		case errors.Is(err, train.ErrInterrupted):
			return &Interrupted{Dir: j.cfg.Out, Step: j.loop.Step, Steps: j.loop.Steps, Saved: j.saved}
		}
		back, err := j.rollback(err)
		if !back {
			return err
		}
	}
}

// evalStart evaluates before the first step.
func (j *Job) evalStart(l *train.Loop) error {
	if l.Step > 0 {
		return nil
	}
	return j.evaluate(l)
}

// evalStep evaluates when it is time, and before the first pruning event, of
// which it takes the snapshot.
func (j *Job) evalStep(l *train.Loop) error {
	l.Last.FLOPs = l.FLOPs() // before an event makes the steps smaller
	j.recent = append(j.recent, l.Last)
	if len(j.recent) > 20 {
		j.recent = j.recent[1:]
	}
	first := j.before == nil && j.prunesAt(l.Step)
	if l.Step%l.EvalEvery == 0 || l.Step == l.Steps || first {
		if err := j.evaluate(l); err != nil {
			return err
		}
	}
	if first {
		s := j.snapshot()
		j.before = &s
		j.recent = nil
	}
	return nil
}

func (j *Job) evaluate(l *train.Loop) error {
	if _, held := j.work.Counts(); held < 1 {
		return nil
	}
	e, err := l.NewEvaluator()
	if err != nil {
		return err
	}
	defer e.Close()
	v, parts, ok, err := j.judge(l, e)
	if err != nil || !ok {
		return err
	}
	if math.IsNaN(v.Loss) || math.IsInf(v.Loss, 0) {
		return &train.NonFiniteError{Step: l.Step, What: "the validation loss", Value: v.Loss}
	}
	point := EvalPoint{Step: l.Step, Loss: v.Loss, Top1: v.Top1, Parts: parts, Rewards: v.Rewards}
	if l.Average() != nil {
		if point.EMA, err = j.judgeAverage(l, e); err != nil {
			return err
		}
	}
	j.evals = append(j.evals, point)
	if l.Step > 0 {
		l.Last.ValLoss, l.Last.ValParts, l.Last.ValRewards = &v.Loss, parts, v.Rewards
		l.Last.ValEMA = point.EMA
	}
	j.tell(Evaluated{Point: point, Count: v.Tokens, Images: j.images(), Floor: j.floor()})
	if j.patienceEnded() && l.Step < l.Steps {
		j.tell(Stopped{l.Step, j.cfg.Train.Patience})
		l.Steps = l.Step
	}
	return nil
}

// judgeAverage is the validation loss of the averaged weights.
func (j *Job) judgeAverage(l *train.Loop, e *train.Evaluator) (loss *float64, err error) {
	err = l.WithAverage(func() error {
		v, _, _, err := j.judge(l, e)
		loss = &v.Loss
		return err
	})
	return loss, err
}

// patienceEnded reports whether train.patience is at its end.
func (j *Job) patienceEnded() bool {
	best, since := math.Inf(1), 0
	for _, e := range j.evals {
		if since++; e.Loss < best-j.cfg.Train.MinDelta {
			best, since = e.Loss, 0
		}
	}
	return j.cfg.Train.Patience > 0 && since >= j.cfg.Train.Patience
}

// improved reports whether the step's evaluation is the lowest so far.
func (j *Job) improved(l *train.Loop) bool {
	n := len(j.evals)
	return n > 0 && j.evals[n-1].Step == l.Step && j.evals[n-1].Loss < j.best.Loss
}

// snapshot is how the run stands now.
func (j *Job) snapshot() train.Snapshot {
	l := j.loop
	ms := make([]float64, len(j.recent))
	rate := make([]float64, len(j.recent))
	for i, r := range j.recent {
		ms[i], rate[i] = r.Ms, r.TokensPerS
	}
	rss, _ := sysmem.Resident()
	s := train.Snapshot{Step: l.Step, Params: l.Set.Count(), Memory: l.Memory(), Ms: units.Median(ms), TokensPerS: units.Median(rate), RSS: rss}
	if n := len(j.evals); n > 0 {
		s.ValLoss, s.ValParts, s.ValRewards = &j.evals[n-1].Loss, j.evals[n-1].Parts, j.evals[n-1].Rewards
		s.ValEMA = j.evals[n-1].EMA
		if j.images() {
			s.ValTop1 = &j.evals[n-1].Top1
		}
	}
	return s
}

// utilisation is the share of the products' rate that a step reached. One above it shows that
// the rate was measured while other programs ran: it is measured again, and at least that.
func (j *Job) utilisation(reached float64, bf16 bool) float64 {
	if reached > j.rate {
		j.rate = max(reached, productRate(j.pool, bf16)*float64(j.Ranks.Size()))
	}
	return reached / j.rate
}

// record writes the step's line of metrics.jsonl. A disk that does not take it
// does not stop the run.
func (j *Job) record(l *train.Loop) error {
	if j.rate > 0 && l.Last.Ms > 0 {
		l.Last.MFU = j.utilisation(l.Last.FLOPs/(l.Last.Ms/1e3), l.Precision == "bf16")
	}
	if m := l.Memory(); m != j.planned {
		j.planned, l.Last.Memory = m, &m
	}
	if mean, spike := j.spike.Add(l.Last.Loss); spike {
		j.tell(Spiked{l.Step, l.Last.Loss, mean, l.Last.GradNorm})
	}
	err := j.metrics.Write(l.Last)
	if err != nil && !j.mute {
		j.tell(MetricsFailed{l.Step, err})
	}
	j.mute = err != nil
	return nil
}

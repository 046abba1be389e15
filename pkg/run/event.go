package run

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/train"
)

// Event is something that happened in a run; String says it on one line (Preflight:
// a few), in words for a log.
type Event interface{ String() string }

type (
	// Note is a remark that needs no type of its own.
	Note string
	// Changed is a key of the run file that differs from the interrupted run's, as allowed.
	Changed struct{ config.Change }
	// Unusable is a checkpoint that is damaged and was skipped.
	Unusable struct {
		Dir string
		Err error
	}
	// Resumed is the checkpoint that the run goes on from.
	Resumed struct{ Step int }
	// Reclassified is the new classifier of a model of images.
	Reclassified struct {
		From, To int      // classes
		Params   []string // that are new
	}
	// Counted is what the documents of the training data became, before the first step.
	Counted struct {
		data.Packing
		Context int // tokens of a sequence
		Skipped int // records with nothing to learn
		Chats   bool
		Pairs   bool         // of answers, of which Learned and Read count both
		Limited data.Limited // what data.max_length left out
	}
	// Began is the first step of this process about to be made, or the first after a rollback.
	Began struct{ Step, Steps int } // steps made, and of the whole run
	// Stepped is a step that was made.
	Stepped struct{ train.Record }
	// Evaluated is an evaluation on the validation data.
	Evaluated struct {
		Point  EvalPoint
		Count  int     // tokens or images
		Images bool    // images instead of text
		Floor  float64 // the text's own entropy in nats a token, where it is known; else NaN
	}
	// Spiked is a loss that left its course.
	Spiked struct {
		Step                 int
		Loss, Mean, GradNorm float64
	}
	// Pruned is a pruning event.
	Pruned struct{ train.Event }
	// Skipped is a batch that was left out because of a number that is not finite.
	Skipped struct{ *train.NonFiniteError }
	// RolledBack is a return to the newest good checkpoint; a Resumed follows.
	RolledBack struct{ Cause error }
	// Saved is a checkpoint that was written.
	Saved struct {
		Step int
		Left error // an older checkpoint could not be removed
	}
	// SaveFailed is a checkpoint that could not be written; training goes on.
	SaveFailed struct {
		Step, Next int // the next try
		Err        error
		Good       string // where the run could go on, in words
	}
	// MetricsFailed is metrics.jsonl not taking lines, which are kept.
	MetricsFailed struct {
		Step int
		Err  error
	}
	// PlanFailed is a plan that could not be written yet.
	PlanFailed struct{ Err error }
	// Stopped is the end of a run by train.patience.
	Stopped struct{ Step, Evaluations int }
	// Ended is the last step of this process, at the end or at an interruption.
	Ended struct{ Step, Steps int }
)

func (e Note) String() string { return string(e) }

func (e Changed) String() string {
	return fmt.Sprintf("changed since the run was interrupted: %s", e.Change)
}

func (e Unusable) String() string {
	return fmt.Sprintf("checkpoint %s is damaged and is skipped: %s", e.Dir, oneLine(e.Err))
}

func (e Resumed) String() string {
	return fmt.Sprintf("going on from the checkpoint of step %d", e.Step)
}

func (e Reclassified) String() string {
	return fmt.Sprintf("classes   %d instead of %d; new: %s", e.To, e.From, strings.Join(e.Params, ", "))
}

func (e Counted) String() string {
	what := "documents"
	switch {
	case e.Pairs:
		what = "pairs of answers"
	case e.Chats:
		what = "conversations"
	}
	s := fmt.Sprintf("data      %d %s in %d sequences of %d tokens: %d tokens learned, %d given, %d padded", e.Documents, what,
		e.Sequences, e.Context, e.Learned, e.Read-e.Learned, e.Sequences*e.Context-e.Read)
	switch {
	case e.Pairs && e.Cut+e.Limited.Documents > 0:
		s += fmt.Sprintf("; %d pairs truncated, %d left out: too long", e.Cut, e.Limited.Documents)
	case e.Limited.Documents > 0:
		s += fmt.Sprintf("; %d documents longer than data.max_length, %d tokens of them left out", e.Limited.Documents, e.Limited.Tokens)
	}
	if e.Cut > 0 && !e.Pairs {
		s += fmt.Sprintf("; %d prompts truncated at the start", e.Cut)
	}
	if why := "they have no response"; e.Skipped > 0 {
		if e.Pairs {
			why = "nothing to compare in them"
		}
		s += fmt.Sprintf("; %d records skipped: %s", e.Skipped, why)
	}
	return s
}

func (e Began) String() string { return fmt.Sprintf("%d of %d steps done", e.Step, e.Steps) }

func (e Stepped) String() string {
	return fmt.Sprintf("step %d: loss %.4f", e.Step, e.Loss)
}

func (e Evaluated) String() string {
	if e.Images {
		return fmt.Sprintf("step %d: validation loss %.4f, top-1 %.2f %% (%d images)", e.Point.Step, e.Point.Loss, 100*e.Point.Top1, e.Count)
	}
	if r := e.Point.Rewards; r != nil {
		return fmt.Sprintf("step %d: validation loss %.4f, margin %.4f, %.1f %% of pairs in order (%d pairs)", e.Point.Step, e.Point.Loss, r.Margin, 100*r.Accuracy, e.Count)
	}
	text := fmt.Sprintf("step %d: validation loss %.4f, perplexity %.2f (%d tokens)", e.Point.Step, e.Point.Loss, math.Exp(e.Point.Loss), e.Count)
	text += partsText(e.Point.Parts)
	if e.Point.EMA != nil {
		text += fmt.Sprintf("; %.4f with averaged weights", *e.Point.EMA)
	}
	if !math.IsNaN(e.Floor) {
		text += fmt.Sprintf("; the text's entropy is %.4f, the distance %.4f", e.Floor, e.Point.Loss-e.Floor)
	}
	return text
}

func (e Spiked) String() string {
	return fmt.Sprintf("step %d: loss %.4f is a spike over the running mean, %.4f (gradient norm %.3g)", e.Step, e.Loss, e.Mean, e.GradNorm)
}

func (e Pruned) String() string {
	return fmt.Sprintf("step %d: pruned %d -> %d parameters, planned memory %s -> %s, resident %s -> %s (%s, plans/%s)",
		e.Step, e.ParamsBefore, e.ParamsAfter, units.Bytes(e.PlannedFrom), units.Bytes(e.PlannedTo),
		units.Bytes(e.RSSBefore), units.Bytes(e.RSSAfter), e.Took.Round(time.Millisecond), e.Plan)
}

func (e Skipped) String() string { return fmt.Sprintf("%s; the batch is skipped", e.NonFiniteError) }

func (e RolledBack) String() string {
	return fmt.Sprintf("%s; rolling back to a checkpoint; training continues after this batch", oneLine(e.Cause))
}

func (e Saved) String() string {
	if e.Left != nil {
		return fmt.Sprintf("step %d: %s", e.Step, oneLine(e.Left))
	}
	return fmt.Sprintf("step %d: checkpoint saved", e.Step)
}

func (e SaveFailed) String() string {
	return fmt.Sprintf("step %d: the checkpoint could not be written (%s); training continues, the next attempt is at step %d; %s", e.Step, oneLine(e.Err), e.Next, e.Good)
}

func (e MetricsFailed) String() string {
	return fmt.Sprintf("step %d: metrics.jsonl cannot be written (%s); its lines are kept in memory until it can be", e.Step, oneLine(e.Err))
}

func (e PlanFailed) String() string {
	return fmt.Sprintf("a pruning plan cannot be written (%s); it is kept in memory and written with the next checkpoint", oneLine(e.Err))
}

func (e Stopped) String() string {
	return fmt.Sprintf("step %d: %d evaluations in a row without a lower validation loss: the run ends here", e.Step, e.Evaluations)
}

func (e Ended) String() string { return fmt.Sprintf("%d of %d steps made", e.Step, e.Steps) }

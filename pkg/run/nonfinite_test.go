package run

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/train"
)

// poisoned is a tiny run in which a weight is infinite after step `at`: the first
// time that the step is made, or every time.
func poisoned(t *testing.T, at int, always bool, more ...string) (*Job, *journal) {
	t.Helper()
	c, o := tiny(t, filepath.Join(t.TempDir(), "run"), more...), Options{}
	done := false
	o.Before = train.Hook{Name: "poison", Step: func(l *train.Loop) error {
		if l.Step == at && (always || !done) {
			done = true
			l.Set.Params[1].Data()[0] = float32(math.Inf(1))
		}
		return nil
	}}
	log := new(journal)
	o.Notify = log.add
	j, err := Start(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j, log
}

func TestNonFiniteStops(t *testing.T) {
	j, _ := poisoned(t, 6, false, "checkpoint.every=4")
	_, err := j.Train(t.Context())
	var bad *train.NonFiniteError
	if !errors.As(err, &bad) || bad.Step != 7 || fault.Of(err) != fault.Failure ||
		!strings.Contains(err.Error(), "step 7: the weight "+j.bundle.Set.Params[1].Name+" is +Inf") || !strings.Contains(err.Error(), "the newest good checkpoint is of step 4") {
		t.Errorf("error %v", err)
	}
}

// TestNonFiniteIsNeverSaved: neither at a checkpoint, nor after an interruption,
// nor at the end.
func TestNonFiniteIsNeverSaved(t *testing.T) {
	for _, c := range []struct {
		at, kept int
		data     string // without validation text the end finds nothing before it saves
		want     string
	}{
		{8, 4, "data.validation=0.05", "not a finite number"},
		{10, 8, "data.validation=0", "not a finite number"},
		{10, 8, "data.validation=0.05", "the validation loss is NaN"},
	} {
		j, log := poisoned(t, c.at, false, "checkpoint.every=4", c.data)
		_, err := j.Train(t.Context())
		if err == nil || fault.Of(err) != fault.Failure || !strings.Contains(err.Error(), c.want) {
			t.Errorf("step %d, %s: error %v\n%s", c.at, c.data, err, log)
		}
		if got := sound(t, j.cfg.Out); got != c.kept {
			t.Errorf("step %d, %s: the newest checkpoint is of step %d, expected %d", c.at, c.data, got, c.kept)
		}
	}
	j, log := poisoned(t, 6, false, "checkpoint.every=4")
	ctx, cancel := context.WithCancel(t.Context())
	j.loop.Attach(train.Hook{Name: "cancel", Step: func(l *train.Loop) error {
		if l.Step == 6 {
			cancel()
		}
		return nil
	}})
	if _, err := j.Train(ctx); err == nil || fault.Of(err) != fault.Failure || !strings.Contains(err.Error(), "not a finite number") {
		t.Errorf("interrupted: error %v\n%s", err, log)
	}
	if got := sound(t, j.cfg.Out); got != 4 {
		t.Errorf("interrupted: the newest checkpoint is of step %d, expected 4", got)
	}
}

func TestNonFiniteRollsBack(t *testing.T) {
	j, log := poisoned(t, 7, false, "checkpoint.every=4", "train.on_nonfinite=rollback", "train.steps=12")
	if _, err := j.Train(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	text := log.String()
	for _, want := range []string{"step 8: the weight", "rolling back", "training continues after this batch", "going on from the checkpoint of step 4"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q:\n%s", want, text)
		}
	}
	lines := metrics(t, j.cfg.Out)
	var steps []float64
	for _, l := range lines {
		steps = append(steps, l["step"].(float64))
	}
	if !slices.Equal(steps, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}) {
		t.Errorf("metrics of steps %v", steps)
	}
	// Steps 5 to 12 were made with the batches behind the eighth.
	if c := j.batches.Cursor(); c.Epoch == 0 && c.Index != (8+8)*2 {
		t.Errorf("the data stand at %+v, expected behind %d windows", c, (8+8)*2)
	}
}

func TestRollingBackEnds(t *testing.T) {
	j, log := poisoned(t, 6, true, "checkpoint.every=4", "train.on_nonfinite=rollback")
	_, err := j.Train(t.Context())
	if err == nil || !strings.Contains(err.Error(), "after 3 rollbacks to the same checkpoint") || strings.Count(log.String(), "rolling back") != 3 {
		t.Errorf("error %v\n%s", err, log)
	}
	j, _ = poisoned(t, 2, true, "checkpoint.every=4", "train.on_nonfinite=rollback")
	if _, err := j.Train(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no checkpoint to roll back to (checkpoint.every is 4)") {
		t.Errorf("error %v", err)
	}
}

// TestAdaptersRollBack: going back restores adapters like weights.
func TestAdaptersRollBack(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	if _, err := trained(t, tiny(t, base), Options{}); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "further.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("one fox and two bears. ", 200)), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(nil, []string{
		"from=" + base, "data.path=" + text, "out=" + filepath.Join(t.TempDir(), "run"), "train.steps=12", "train.batch=2", "train.context=16", "train.sample=0", "train.threads=1",
		"train.eval_every=1000", "train.on_nonfinite=rollback", "lora.rank=2", "checkpoint.every=4",
	})
	if err != nil {
		t.Fatal(err)
	}
	var j *Job
	done, log := false, new(journal)
	o := Options{Notify: log.add, Before: train.Hook{Name: "poison", Step: func(l *train.Loop) error {
		if l.Step == 7 && !done {
			done = true
			j.bundle.Adapters.Set.Weights.Data[0] = float32(math.Inf(1))
		}
		return nil
	}}}
	if j, err = Start(t.Context(), c, o); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if _, err := j.Train(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	back, r := told[RolledBack](log), told[Resumed](log)
	if len(back) != 1 || !strings.Contains(back[0].String(), "step 8: the weight") || len(r) != 1 || r[0].Step != 4 || len(metrics(t, c.Out)) != 12 {
		t.Errorf("log:\n%s", log)
	}
}

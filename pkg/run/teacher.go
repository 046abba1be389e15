package run

import (
	"bytes"
	"fmt"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/train"
)

func errNoAdapters(dir string) error { return fmt.Errorf("%s holds no adapters", dir) }

// copyDir of a run with teacher.copy is the model as it was before the first pruning event.
const copyDir = "teacher"

// learn attaches adapters and the teacher to the loop.
func (j *Job) learn(saved *state) error {
	if err := j.attachAdapters(saved); err != nil {
		return fault.BadInput(err)
	}
	t := j.cfg.Teacher
	if t.Copy && saved != nil && len(saved.Events) > 0 {
		t.Model = filepath.Join(j.cfg.Out, copyDir)
	}
	if !t.Enabled() {
		return nil
	}
	b, err := bundle.Open(t.Model, bundle.Options{})
	if err != nil {
		return err
	}
	if err = j.sameInputs("teacher.model", t.Model, b); err == nil {
		err = fault.Usage(j.loop.Learn(t, b.Model, b.Set)) // the loop closes the set
	}
	if err != nil {
		b.Close()
	}
	return err
}

// copyStep makes the model as it is before the first pruning event the teacher of the steps
// after it, and keeps it for a run that goes on from there. The event lowers the loop again.
func (j *Job) copyStep(l *train.Loop) error {
	if len(j.pruner.Events) > 0 || !j.prunesAt(l.Step) {
		return nil
	}
	if j.Ranks.lead() {
		files, err := j.bundle.Files("F32")
		if err != nil {
			return err
		}
		if err := checkpoint.ReplaceDir(filepath.Join(j.cfg.Out, copyDir), files); err != nil {
			return err
		}
	}
	set := l.Set.Like()
	set.Weights = set.NewSlab()
	copy(set.Weights.Data, l.Set.Weights.Data)
	return l.Learn(j.cfg.Teacher, l.Model, set)
}

// sameInputs reports whether a model, named by a key of the run file, reads what the model
// that is trained reads.
func (j *Job) sameInputs(key, name string, b *bundle.Bundle) error {
	if b.Tokenizer != nil && j.bundle.Tokenizer != nil {
		have, err1 := b.Tokenizer.JSON()
		want, err2 := j.bundle.Tokenizer.JSON()
		if err1 == nil && err2 == nil && !bytes.Equal(have, want) {
			return fault.BadInput(fmt.Errorf("%s %s has a different tokenizer than the model that is trained", key, name))
		}
	}
	if _, images := b.Model.(model.Classifier); images != j.images() {
		return fault.Usage(fmt.Errorf("%s %s is a %s, which takes other inputs than the model that is trained", key, name, b.Model.Family()))
	}
	return nil
}

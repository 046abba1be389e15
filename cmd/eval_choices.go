package cmd

import (
	"io"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/progress"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/workload"
)

// RunEvalChoices answers the questions of a file.
func RunEvalChoices(o EvalOptions, out, log io.Writer) error {
	questions, err := data.ReadQuestions(o.Choices)
	if err != nil {
		return fault.BadInput(err)
	}
	shown := progress.NewWork(log)
	defer shown.End()
	b, err := readBundle(o.Model, bundle.Options{Weights: o.Weights}, shown)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.Text(); err != nil {
		return err
	}
	on := subject(b, o.ranks.orAlone(), o.Threads)
	defer on.Close()
	r, err := workload.Answer(b, on, questions, shown.Count("answering", "choices"))
	shown.End()
	if err != nil {
		return err
	}
	return show(out, r, o.JSON)
}

package prune

import (
	"fmt"
	"io"
	"os"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// readPlan reads a plan for a model as it is. Errors are those of an input file.
func readPlan(path string, m model.Model, set *param.Set) (*coupled.Plan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.BadInput(err)
	}
	defer f.Close()
	plan, err := coupled.ReadPlan(f)
	if err == nil {
		err = plan.Validate(m.Family(), set)
	}
	if err != nil {
		return nil, fault.BadInput(fmt.Errorf("%s: %w", path, err))
	}
	return plan, nil
}

// WritePlan writes a plan; the file is complete or absent.
func WritePlan(path string, plan *coupled.Plan) error {
	return checkpoint.WriteStream(path, func(w io.Writer) error { return coupled.WritePlan(w, plan) })
}

// readEvidence reads evidence that was gathered from a model of these shapes.
func readEvidence(path string, m model.Model, set *param.Set) (*coupled.Evidence, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.BadInput(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fault.BadInput(err)
	}
	e, err := coupled.LoadEvidence(f, st.Size(), m.Family(), set, nil)
	if err != nil {
		return nil, fault.BadInput(fmt.Errorf("%s: %w", path, err))
	}
	return e, nil
}

// writeEvidence writes evidence with the shapes that it was gathered on; the file is
// complete or absent.
func writeEvidence(path string, e *coupled.Evidence, m model.Model, shapes *param.Set) error {
	return checkpoint.WriteStream(path, func(w io.Writer) error { return e.Save(w, m.Family(), shapes) })
}

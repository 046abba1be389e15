package export

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Report is what an export is summed up as.
type Report struct {
	Format       string      `json:"format"`
	Architecture string      `json:"architecture"` // the format's name of what the model is
	Out          string      `json:"out"`
	DType        string      `json:"dtype"`
	Bytes        int64       `json:"bytes"`
	Params       int         `json:"params"`     // of the model
	Stored       int64       `json:"stored"`     // numbers in the file's tensors, zeros of --pad included
	Padded       []Gap       `json:"padded"`     // constraints that zeros meet
	OtherType    []string    `json:"other_type"` // matrices that DType does not fit, with their types
	Loaders      []string    `json:"loaders"`    // programs that read the file
	Difference   *Difference `json:"difference"` // of logits, file against model, on a fixed input; null for onnx, of which only the structure is checked
	Seconds      float64     `json:"seconds"`
	PeakRSS      int64       `json:"peak_rss"` // bytes

	rows int // of the probe
}

// Paths are what Make writes.
type Paths struct {
	Out    string // file or directory of the model
	Logits string // file for the fixed input and the model's logits on it; empty for none
}

// Make writes the model, reads it back, and compares the logits on a fixed input where
// this program runs the format. The weights of set are closed: the file's take their place.
func (plan *Plan) Make(m model.Model, set *param.Set, pool *kernel.Pool, to Paths) (*Report, error) {
	probe := NewProbe(m)
	plan.tell("computing logits", 0, 0)
	want, err := Logits(m, set, pool, probe)
	if err != nil {
		return nil, err
	}
	if to.Logits != "" {
		if err := writeLogits(to.Logits, probe, want); err != nil {
			return nil, err
		}
	}
	if err := plan.Write(to.Out); err != nil {
		return nil, err
	}
	set.Close()
	plan.tell("reading back", 0, 0)
	diff, err := plan.readBack(to.Out, pool, probe, want)
	if err != nil {
		return nil, err
	}
	return &Report{
		Format: plan.Format, Architecture: plan.Architecture, Out: to.Out, DType: plan.DType, Bytes: plan.Bytes, Params: plan.Params,
		Stored: plan.Stored, Padded: plan.Gaps, OtherType: plan.Other, Loaders: plan.Loaders, Difference: diff, rows: probe.Rows(),
	}, nil
}

// readBack compares the logits of the file with the model's; nil where only the
// structure of a file is checked.
func (plan *Plan) readBack(out string, pool *kernel.Pool, probe Probe, want []float32) (*Difference, error) {
	got, err := plan.Check(out, pool, probe)
	if err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	if got == nil {
		return nil, nil
	}
	diff, err := Compare(got, want, probe.Rows())
	if err != nil {
		return nil, err
	}
	if limit := Tolerance(plan.DType); diff.Relative > limit {
		return nil, fmt.Errorf("%s was written, but its logits differ by %.3g of the largest, expected at most %g", out, diff.Relative, limit)
	}
	return &diff, nil
}

// writeLogits keeps what another program's logits are compared with: the probe,
// and logits [rows, V].
func writeLogits(path string, probe Probe, logits []float32) error {
	text, err := json.Marshal(struct {
		Probe
		Logits []float32 `json:"logits"`
	}{probe, logits})
	if err != nil {
		return err
	}
	return checkpoint.WriteFile(path, text)
}

// String says what was written, what zeros and other types were needed, and how the
// logits of the file compare.
func (r *Report) String() string {
	out := &strings.Builder{}
	fmt.Fprintf(out, "%s: %s %s, %s, %s\n", r.Out, r.Format, r.Architecture, r.DType, units.Bytes(r.Bytes))
	if len(r.Padded) > 0 {
		fmt.Fprintf(out, "zeros fill %d of %d numbers:\n", r.Stored-int64(r.Params), r.Stored)
		for _, g := range r.Padded {
			fmt.Fprintf(out, "  %s\n", g)
		}
	}
	if n := len(r.OtherType); n > 0 {
		fmt.Fprintf(out, "%d matrices whose rows are no multiple of 32 are not %s: %s first\n", n, r.DType, r.OtherType[0])
	}
	if r.Difference == nil {
		fmt.Fprintf(out, "its structure was checked, its logits were not: compare those of another runtime with the file that --logits writes\n")
		fmt.Fprintf(out, "loads in: %s\n", strings.Join(r.Loaders, "; "))
		return out.String()
	}
	fmt.Fprintf(out, "read back: logits of %d rows differ by at most %.2g (%.2g of the largest), the likeliest agrees at %.0f %%\n",
		r.rows, r.Difference.Largest, r.Difference.Relative, 100*r.Difference.Top)
	fmt.Fprintf(out, "loads in: %s\n", strings.Join(r.Loaders, "; "))
	return out.String()
}

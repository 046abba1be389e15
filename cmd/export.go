package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/export"
	"github.com/ecospa/ecospa/pkg/prune"
)

// ExportOptions is what the flags of export say.
type ExportOptions struct {
	Model   string
	Format  string // hf, gguf or onnx
	Out     string
	DType   string // F32, F16, BF16 or Q8_0
	Pad     bool
	Force   bool
	Logits  string // file for the fixed input and the model's logits on it
	Threads int
	JSON    bool
}

// ExportResult is what export prints with --json.
type ExportResult struct {
	Format       string             `json:"format"`
	Architecture string             `json:"architecture"` // the format's name of what the model is
	Out          string             `json:"out"`
	DType        string             `json:"dtype"`
	Bytes        int64              `json:"bytes"`
	Params       int                `json:"params"`     // of the model
	Stored       int64              `json:"stored"`     // numbers in the file's tensors, zeros of --pad included
	Padded       []export.Gap       `json:"padded"`     // constraints that zeros meet
	OtherType    []string           `json:"other_type"` // matrices that DType does not fit, with their types
	Loaders      []string           `json:"loaders"`    // programs that read the file
	Difference   *export.Difference `json:"difference"` // of logits, file against model, on a fixed input; null for onnx, which is not read back
	Seconds      float64            `json:"seconds"`
	PeakRSS      int64              `json:"peak_rss"` // bytes
}

func exportCommand() *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "write a model in a format that other programs load",
		Description: "Formats: hf is a directory for Hugging Face transformers, gguf a file for llama.cpp, onnx a file for\n" +
			"onnxruntime. What a format cannot hold is refused with the constraint that failed; prune --for makes\n" +
			"plans that fit. The result is read back (onnx is not), and its logits on a fixed input are compared. What the tokenizer's\n" +
			"post_processor adds to a text is exported with the format's own keys (gguf: add_bos_token).",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Required: true, Usage: "model or run `DIR`"},
			&cli.StringFlag{Name: "format", Required: true, Usage: "`FORMAT`: " + strings.Join(export.Formats(), ", ")},
			&cli.StringFlag{Name: "out", Required: true, Usage: "file or directory to write, `PATH`"},
			&cli.StringFlag{Name: "dtype", Usage: "`TYPE` of the weights: F32, F16, BF16 or (gguf) Q8_0; default the source's, or F32 where the format does not have that"},
			&cli.BoolFlag{Name: "pad", Usage: "fill up with zeros to a shape that the format has; logits stay, the file grows"},
			&cli.BoolFlag{Name: "force", Usage: "overwrite --out"},
			&cli.StringFlag{Name: "logits", Usage: "write the fixed input and the model's logits on it to `FILE`, as JSON, for a comparison in another program"},
			threadsFlag(),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			return RunExport(ExportOptions{
				Model: c.String("model"), Format: c.String("format"), Out: c.String("out"), DType: strings.ToUpper(c.String("dtype")),
				Pad: c.Bool("pad"), Force: c.Bool("force"), Logits: c.String("logits"), Threads: c.Int("threads"), JSON: c.Bool("json"),
			}, c.App.Writer, c.App.ErrWriter)
		},
	}
}

// RunExport writes the model, reads it back and prints the result to out.
func RunExport(o ExportOptions, out, log io.Writer) error {
	start := time.Now()
	if o.Threads < 0 {
		return fault.Usage(errors.New("--threads is expected to be 0 or more"))
	}
	if err := vacant(o.Out, o.Model, o.Force); err != nil {
		return err
	}
	b, err := openBundle(o.Model, bundle.Options{}, log)
	if err != nil {
		return err
	}
	defer b.Close()
	if o.DType == "" {
		if o.DType = b.DType; !slices.Contains(export.DTypes(o.Format), o.DType) {
			o.DType = "F32"
		}
	}
	options := export.Options{Format: o.Format, DType: o.DType, Pad: o.Pad, EOS: -1, ChatTemplate: b.ChatTemplate}
	if b.Tokenizer != nil {
		options.EOS = int(b.Tokenizer.EOS())
		options.Front, options.Back = b.Tokenizer.Template()
		if options.Tokenizer, err = b.Tokenizer.JSON(); err != nil {
			return err
		}
		if len(b.Ends) > 1 {
			options.Turn = int(b.Ends[1])
		}
	}
	for _, e := range b.Extra {
		options.Carried = append(options.Carried, checkpoint.BytesFile(e.Name, e.Data))
	}
	plan, err := export.New(b.Model, b.Set, options)
	if err != nil {
		return fault.Usage(err)
	}
	on := subject(b, alone, o.Threads)
	defer on.Close()
	probe := export.NewProbe(b.Model)
	want, err := export.Logits(b.Model, b.Set, on.Pool, probe)
	if err != nil {
		return err
	}
	if o.Logits != "" {
		if err := writeLogits(o.Logits, probe, want); err != nil {
			return err
		}
	}
	if err := plan.Write(o.Out); err != nil {
		return err
	}
	b.Set.Weights.Close() // the file's weights take their place
	diff, err := readBack(plan, o, on, probe, want)
	if err != nil {
		return err
	}
	r := ExportResult{
		Format: o.Format, Architecture: plan.Architecture, Out: o.Out, DType: o.DType, Bytes: plan.Bytes, Params: plan.Params,
		Stored: plan.Stored, Padded: plan.Gaps, OtherType: plan.Other, Loaders: plan.Loaders, Difference: diff,
		Seconds: time.Since(start).Seconds(),
	}
	_, r.PeakRSS = sysmem.Resident()
	if o.JSON {
		return printJSON(out, r)
	}
	r.print(out, probe.Rows())
	return nil
}

// readBack compares the logits of the file with the model's; nil where the format
// is not read.
func readBack(plan *export.Plan, o ExportOptions, on prune.Subject, probe export.Probe, want []float32) (*export.Difference, error) {
	got, err := plan.Check(o.Out, on.Pool, probe)
	if errors.Is(err, export.ErrNotRead) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	diff, err := export.Compare(got, want, probe.Rows())
	if err != nil {
		return nil, err
	}
	if limit := export.Tolerance(o.DType); diff.Relative > limit {
		return nil, fmt.Errorf("%s was written, but its logits differ by %.3g of the largest, expected at most %g", o.Out, diff.Relative, limit)
	}
	return &diff, nil
}

// writeLogits keeps what another program's logits are compared with: the probe,
// and logits [rows, V].
func writeLogits(path string, probe export.Probe, logits []float32) error {
	text, err := json.Marshal(struct {
		export.Probe
		Logits []float32 `json:"logits"`
	}{probe, logits})
	if err != nil {
		return err
	}
	return checkpoint.WriteFile(path, text)
}

func (r *ExportResult) print(out io.Writer, rows int) {
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
		fmt.Fprintf(out, "not read back: compare its logits in another runtime with those that --logits writes\n")
		fmt.Fprintf(out, "loads in: %s\n", strings.Join(r.Loaders, "; "))
		return
	}
	fmt.Fprintf(out, "read back: logits of %d rows differ by at most %.2g (%.2g of the largest), the likeliest agrees at %.0f %%\n",
		rows, r.Difference.Largest, r.Difference.Relative, 100*r.Difference.Top)
	fmt.Fprintf(out, "loads in: %s\n", strings.Join(r.Loaders, "; "))
}

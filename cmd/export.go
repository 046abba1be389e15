package cmd

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/progress"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/export"
)

// ExportOptions is what the flags of export say.
type ExportOptions struct {
	Model   string
	Format  string // one of export.Formats
	Out     string
	DType   string // one of export.DTypes; "" for the source's
	Pad     bool
	Force   bool
	Logits  string // file for the fixed input and the model's logits on it
	Threads int
	JSON    bool
}

func exportCommand() *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "write a model in a format that other programs load",
		Description: export.About() + ".\n" +
			"A model that the format cannot hold is refused with the constraint that failed; prune --for makes plans that fit. The file is\n" +
			"read back and its logits on a fixed input are compared (for onnx only the structure is checked). What the tokenizer's\n" +
			"post_processor adds to a text is exported with the format's own keys (gguf: add_bos_token).",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Required: true, Usage: "model or run `DIR`, or a .gguf file"},
			&cli.StringFlag{Name: "format", Required: true, Usage: "`FORMAT`: " + strings.Join(export.Formats(), ", ")},
			&cli.StringFlag{Name: "out", Required: true, Usage: "file or directory to write, `PATH`"},
			&cli.StringFlag{Name: "dtype", Usage: "`TYPE` of the weights: " + strings.Join(export.DTypes(), ", ") + "; default the source's, or F32 if the format does not have it"},
			&cli.BoolFlag{Name: "pad", Usage: "pad with zeros to a shape that the format can hold; the logits stay the same, the file grows"},
			&cli.BoolFlag{Name: "force", Usage: "overwrite --out"},
			&cli.StringFlag{Name: "logits", Usage: "write a fixed input and the model's logits on it to `FILE` as JSON, to compare with another program"},
			threadsFlag(),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			return RunExport(ExportOptions{
				Model: c.String("model"), Format: c.String("format"), Out: c.String("out"), DType: c.String("dtype"),
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
	shown := progress.NewWork(log)
	defer shown.End()
	b, err := readBundle(o.Model, bundle.Options{Weights: bundle.AsStored}, shown)
	if err != nil {
		return err
	}
	defer b.Close()
	format, err := export.ByName(o.Format)
	if err != nil {
		return fault.Usage(err)
	}
	options := export.Options{Format: o.Format, DType: format.DType(o.DType, b.DType), Pad: o.Pad, EOS: -1, ChatTemplate: b.ChatTemplate}
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
	plan.Progress = shown.Phases("bytes")
	on := subject(b, alone, o.Threads)
	defer on.Close()
	r, err := plan.Make(b.Model, b.Set, on.Pool, export.Paths{Out: o.Out, Logits: o.Logits})
	if err != nil {
		return err
	}
	shown.End()
	r.Seconds = time.Since(start).Seconds()
	_, r.PeakRSS = sysmem.Resident()
	return show(out, r, o.JSON)
}

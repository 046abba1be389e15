package cmd

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/progress"
	"github.com/ecospa/ecospa/pkg/bundle"
)

// InspectOptions is what the flags of inspect say.
type InspectOptions struct {
	Model  string
	Verify bool   // read every byte
	Graph  string // file to draw the training graph to, .svg or .dot
	Batch  int    // sequences of the graph that is drawn
	Seq    int    // tokens of each
	JSON   bool
}

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show a model's sizes, layer by layer, and check its files",
		ArgsUsage: "[DIR]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Usage: "model or run `DIR`, or a .gguf file; may be given without the flag"},
			&cli.BoolFlag{Name: "verify", Usage: "read every byte: check hashes against the manifest, or, for models without one, that all weights are finite"},
			&cli.StringFlag{Name: "graph", Usage: "draw the training graph with its memory plan to `FILE`.svg or .dot"},
			&cli.IntFlag{Name: "batch", Value: 4, Usage: "with --graph: sequences per batch, `B`"},
			&cli.IntFlag{Name: "seq", Usage: "with --graph: tokens per sequence, `T`; 0 is the model's context, at most 256"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			o := InspectOptions{Model: c.String("model"), Verify: c.Bool("verify"), Graph: c.String("graph"), Batch: c.Int("batch"), Seq: c.Int("seq"), JSON: c.Bool("json")}
			if o.Model == "" {
				o.Model = c.Args().First()
			} else if c.Args().Present() {
				return fault.Usage(fmt.Errorf("the model is given twice, %s and %s", o.Model, c.Args().First()))
			}
			switch ext := filepath.Ext(o.Graph); {
			case o.Model == "" || c.NArg() > 1:
				return fault.Usage(errors.New("inspect needs one model: ecospa inspect DIR"))
			case o.Graph == "" && (c.IsSet("batch") || c.IsSet("seq")):
				return fault.Usage(errors.New("--batch and --seq apply only with --graph"))
			case o.Graph != "" && ext != ".svg" && ext != ".dot":
				return fault.Usage(fmt.Errorf("--graph is %q, expected a name that ends in .svg or .dot", o.Graph))
			case o.Batch < 1 || o.Seq < 0:
				return fault.Usage(errors.New("--batch is expected to be at least 1, --seq at least 0"))
			}
			return RunInspect(o, c.App.Writer, c.App.ErrWriter)
		},
	}
}

// RunInspect prints the model of a directory, notes about it to log, and holds the headers of its weights against
// its shapes; only with Verify it reads weights.
func RunInspect(o InspectOptions, out, log io.Writer) error {
	b, err := openBundle(o.Model, bundle.Options{ShapesOnly: true, CheckHeaders: true}, log)
	if err != nil {
		return err
	}
	defer b.Close()
	verified := ""
	if o.Verify {
		shown := progress.NewWork(log)
		shown.Phase("reading every byte of " + o.Model)
		defer shown.End()
		if verified, err = bundle.Verify(o.Model); err != nil {
			return err
		}
	}
	f, err := b.Facts()
	if err != nil {
		return err
	}
	if o.Graph != "" {
		if err := b.Draw(o.Graph, o.Batch, o.Seq); err != nil {
			return err
		}
	}
	if err := show(out, f, o.JSON); err != nil || o.JSON {
		return err
	}
	if o.Graph != "" {
		fmt.Fprintf(out, "\ngraph    %s\n", o.Graph)
	}
	if o.Verify {
		fmt.Fprintf(out, "\nverified %s\n", verified)
	}
	return nil
}

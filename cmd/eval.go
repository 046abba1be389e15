package cmd

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/progress"
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/workload"
)

// EvalOptions is what the flags of eval say.
type EvalOptions struct {
	Model   string
	Data    string
	Choices string // multiple-choice file instead of Data
	Text    data.Options

	Context int // tokens a window; 0 is the model's context, at most 1024
	Batch   int // windows at a time; 0 is about 4096 tokens
	Limit   int // predicted tokens at most; 0 is all
	Threads int
	Weights param.DType // type in which the weights are kept, see bundle.Options
	JSON    bool

	Importance  bool   // scores of units instead of perplexity
	Sensitivity bool   // loss against kept shares instead of perplexity
	Criterion   string // of Importance
	Sequences   int    // of Importance and Sensitivity
	Plot        string // picture of them to write
	Force       bool   // overwrite Plot
	ranks       ranks  // alone by default
}

func evalCommand() *cli.Command {
	return &cli.Command{
		Name:  "eval",
		Usage: "measure a model: perplexity on a text, top-1 and top-5 on images, multiple choice, per-unit importance",
		Description: "The text is encoded once and read in windows of CONTEXT+1 tokens with stride CONTEXT, so that\n" +
			"every token but the first is predicted exactly once, the last short window included. What the tokenizer's\n" +
			"post_processor adds is added once per document, as Hugging Face's libraries do: a BOS token for\n" +
			"LLaMA, which is given as context and never predicted; nothing for GPT-2.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "model", Required: true, Usage: "model or run `DIR`, or a .gguf file"},
			&cli.StringFlag{Name: "data", Usage: "text: a file, a folder or a glob `PATH` (" + strings.Join(data.Extensions(), ", ") + "); for an image model a folder of class folders, a CSV or an IDX file"},
			&cli.StringFlag{Name: "choices", Usage: "instead of --data, `FILE` of questions, one a line: {\"context\", \"choices\", \"answer\"}, or in the formats of ARC, PIQA, HellaSwag and LAMBADA"},
			&cli.IntFlag{Name: "context", Usage: "tokens per window, `N`; 0 is the model's context, at most 1024"},
			&cli.IntFlag{Name: "batch", Usage: "windows, or images, per batch, `N`; 0 is as many as make 4096 tokens"},
			&cli.IntFlag{Name: "limit", Usage: "use only the first `N` predicted tokens, or images; 0 is all"},
			&cli.BoolFlag{Name: "importance", Usage: "instead of the perplexity: how the scores of coupled units are distributed, by layer and kind"},
			&cli.BoolFlag{Name: "sensitivity", Usage: "instead of the perplexity: the loss against the share of units kept, for each kind, by the default recipe of prune"},
			&cli.StringFlag{Name: "criterion", Value: "fisher", Usage: "with --importance: how units are scored, `NAME`: " + strings.Join(coupled.Criteria(), ", ")},
			&cli.IntFlag{Name: "sequences", Value: 64, Usage: "with --importance and --sensitivity: sequences of --context tokens, `N`"},
			&cli.StringFlag{Name: "plot", Usage: "with --importance and --sensitivity: draw to `FILE`.svg or .png"},
			&cli.BoolFlag{Name: "force", Usage: "overwrite --plot"},
			weightsFlag(),
			threadsFlag(),
			jsonFlag(),
		}, textFlags()...),
		Action: func(c *cli.Context) error {
			weights, err := weightsOf(c)
			if err != nil {
				return err
			}
			o := EvalOptions{
				Weights:    weights,
				Importance: c.Bool("importance"), Sensitivity: c.Bool("sensitivity"), Criterion: c.String("criterion"),
				Sequences: c.Int("sequences"), Plot: c.String("plot"), Force: c.Bool("force"),
				Model: c.String("model"), Data: c.String("data"), Choices: c.String("choices"), Text: textOptions(c), Context: c.Int("context"),
				Batch: c.Int("batch"), Limit: c.Int("limit"), Threads: c.Int("threads"), JSON: c.Bool("json"),
			}
			if err := o.check(c); err != nil {
				return fault.Usage(err)
			}
			o.ranks = ranksOf(c)
			if err := o.oneProcess(); err != nil {
				return fault.Usage(err)
			}
			return interruptible(c, func() error {
				switch {
				case o.Choices != "":
					return RunEvalChoices(o, c.App.Writer, c.App.ErrWriter)
				case o.Importance || o.Sensitivity:
					return RunUnits(o, c.App.Writer, c.App.ErrWriter)
				}
				return RunEval(o, c.App.Writer, c.App.ErrWriter)
			})
		},
	}
}

// check refuses what does not go together.
func (o EvalOptions) check(c *cli.Context) error {
	if (o.Data == "") == (o.Choices == "") {
		return errors.New("eval needs either --data or --choices")
	}
	units := o.Importance || o.Sensitivity
	for _, rule := range []struct {
		flags string
		apply bool
		with  string
	}{
		{"field context separator pack format template", o.Choices == "", "--data"},
		{"batch limit prompt-field", o.Choices == "" && !units, "only --data"},
		{"weights", !units, "--data or --choices, without --importance and --sensitivity"},
		{"sequences plot", units, "--importance or --sensitivity"},
		{"criterion", o.Importance, "--importance"},
		{"force", o.Plot != "", "--plot"},
		{"importance sensitivity", o.Choices == "" && !(o.Importance && o.Sensitivity), "--data, and one at a time"},
	} {
		for _, f := range strings.Fields(rule.flags) {
			if c.IsSet(f) && !rule.apply {
				return fmt.Errorf("--%s applies only with %s", f, rule.with)
			}
		}
	}
	if o.Sequences < 1 {
		return errors.New("--sequences is expected to be at least 1")
	}
	if o.Plot != "" {
		if err := report.CheckName(o.Plot); err != nil {
			return err
		}
	}
	if o.Context < 0 || o.Batch < 0 || o.Limit < 0 || o.Threads < 0 {
		return errors.New("--context, --batch, --limit and --threads are expected to be 0 or more")
	}
	return checkText(o.Text)
}

// oneProcess refuses what is not shared by ranks.
func (o EvalOptions) oneProcess() error {
	for what, is := range map[string]bool{"--choices": o.Choices != "", "--importance": o.Importance, "--sensitivity": o.Sensitivity} {
		if is && o.ranks.Many() {
			return fmt.Errorf("eval %s runs in one process, not on %d ranks", what, o.ranks.Size())
		}
	}
	return nil
}

// RunEval evaluates and prints the result to out, notes about the model to log.
func RunEval(o EvalOptions, out, log io.Writer) error {
	shown := progress.NewWork(log)
	defer shown.End()
	b, w, err := o.open(shown)
	if err != nil {
		return err
	}
	defer b.Close()
	context, err := w.Context(b.Model, o.Context, 1024)
	if err != nil {
		return err
	}
	on := subject(b, o.ranks.orAlone(), o.Threads)
	defer on.Close()
	r, err := workload.Measure(b, w, on, workload.EvalOptions{Batch: o.Batch, Context: context, Limit: o.Limit, Progress: shown.Count("evaluating", string(w.Unit())+"s")})
	shown.End()
	if err != nil {
		return err
	}
	return show(out, r, o.JSON)
}

// open opens the model and the data that it is measured on.
func (o EvalOptions) open(shown *progress.Work) (*bundle.Bundle, workload.Workload, error) {
	b, err := readBundle(o.Model, bundle.Options{Weights: o.Weights}, shown)
	if err != nil {
		return nil, nil, err
	}
	shown.Phase("reading " + o.Data)
	w, err := workload.Open(b, workload.Source{Path: o.Data, Options: o.Text})
	if err != nil {
		b.Close()
		return nil, nil, err
	}
	return b, w, nil
}

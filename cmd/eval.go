package cmd

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/internal/sysmem"
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
	Weights param.DType // type in which the weights are kept; "" is float32
	JSON    bool

	Importance  bool   // scores of units instead of perplexity
	Sensitivity bool   // loss against kept shares instead of perplexity
	Criterion   string // of Importance
	Sequences   int    // of Importance and Sensitivity
	Plot        string // picture of them to write
	Force       bool   // overwrite Plot
	ranks       ranks  // alone by default
}

// EvalResult is what eval prints with --json.
type EvalResult struct {
	Loss       float64 `json:"loss"`       // nats per predicted token
	Perplexity float64 `json:"perplexity"` // exp(loss)
	Tokens     int     `json:"tokens"`     // predicted tokens
	Params     int     `json:"params"`
	Bytes      int     `json:"bytes"`         // of the text
	BitsPerB   float64 `json:"bits_per_byte"` // loss·tokens / (bytes·ln 2), comparable between tokenizers; of all of the text only
	Context    int     `json:"context"`       // tokens a window
	Seconds    float64 `json:"seconds"`
	TokensPerS float64 `json:"tokens_per_s"`
	PeakRSS    int64   `json:"peak_rss"`     // bytes
	Weights    int64   `json:"weight_bytes"` // planned, as they are kept
	// Documents is how many were told apart, and DocumentLoss the mean of their own losses,
	// nats per predicted token; both are left out of a stream.
	Documents    int     `json:"documents,omitempty"`
	DocumentLoss float64 `json:"document_loss,omitempty"`
}

// EvalImagesResult is what eval prints with --json for a model of images.
type EvalImagesResult struct {
	Loss       float64 `json:"loss"` // nats per image
	Top1       float64 `json:"top1"` // share of images whose class is the likeliest
	Top5       float64 `json:"top5"` // or among the five likeliest
	Images     int     `json:"images"`
	Params     int     `json:"params"`
	Seconds    float64 `json:"seconds"`
	ImagesPerS float64 `json:"images_per_s"` // decoding included
	PeakRSS    int64   `json:"peak_rss"`     // bytes
	Weights    int64   `json:"weight_bytes"` // planned, as they are kept
}

func evalCommand() *cli.Command {
	return &cli.Command{
		Name:  "eval",
		Usage: "measure a model: perplexity on a text, top-1 and top-5 on images, multiple choice, per-unit importance",
		Description: "The text is encoded once and read in windows of CONTEXT+1 tokens with stride CONTEXT, so that\n" +
			"every token but the first is predicted exactly once; the last short window counts. What the tokenizer's\n" +
			"post_processor adds is added once a document, as Hugging Face's libraries do: the beginning of a text for\n" +
			"LLaMA, which is given and never predicted, nothing for GPT-2.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "model", Required: true, Usage: "model or run `DIR`"},
			&cli.StringFlag{Name: "data", Usage: "text: a file, a folder or a glob `PATH` (" + strings.Join(data.Extensions(), ", ") + "); for a model of images a folder of class folders, a CSV or an IDX file"},
			&cli.StringFlag{Name: "choices", Usage: "instead of --data, `FILE` of questions, one a line: {\"context\", \"choices\", \"answer\"}, or as ARC, PIQA, HellaSwag and LAMBADA are passed around"},
			&cli.IntFlag{Name: "context", Usage: "tokens a window, `N`; 0 is the model's context, at most 1024"},
			&cli.IntFlag{Name: "batch", Usage: "windows, or images, at a time, `N`; 0 is as many as make 4096 tokens"},
			&cli.IntFlag{Name: "limit", Usage: "predicted tokens, or images, at most, `N`, from the front; 0 is all"},
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
				case o.Importance:
					return RunImportance(o, c.App.Writer, c.App.ErrWriter)
				case o.Sensitivity:
					return RunSensitivity(o, c.App.Writer, c.App.ErrWriter)
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
		{"field context separator pack", o.Choices == "", "--data"},
		{"batch limit prompt-field", o.Choices == "" && !units, "--data alone"},
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
		if is && o.ranks.many() {
			return fmt.Errorf("eval %s runs in one process, not on %d ranks", what, o.ranks.Size())
		}
	}
	return nil
}

// RunEval evaluates and prints the result to out, notes about the model to log.
func RunEval(o EvalOptions, out, log io.Writer) error {
	b, w, err := o.open(log)
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
	start := time.Now()
	v, err := w.Evaluate(on, workload.EvalOptions{Batch: o.Batch, Context: context, Limit: o.Limit})
	if err != nil {
		return err
	}
	took := time.Since(start).Seconds()
	_, peak := sysmem.Resident()
	if w.Unit() == workload.Image {
		return show(out, EvalImagesResult{
			Loss: v.Loss, Top1: v.Top1, Top5: v.Top5, Images: v.Tokens, Params: b.Set.Count(), Seconds: took, ImagesPerS: float64(v.Tokens) / took, PeakRSS: peak, Weights: b.Set.WeightBytes(),
		}, o.JSON)
	}
	_, tokens := w.Counts()
	r := EvalResult{
		Loss: v.Loss, Perplexity: v.Perplexity(), Tokens: v.Tokens, Params: b.Set.Count(), Bytes: w.Bytes(),
		Context: min(context, tokens-1), Seconds: took, TokensPerS: float64(v.Tokens) / took, PeakRSS: peak, Weights: b.Set.WeightBytes(), Documents: v.Documents, DocumentLoss: v.DocumentLoss,
	}
	if o.Limit == 0 && r.Bytes > 0 {
		r.BitsPerB = v.Loss * float64(v.Tokens) / (float64(r.Bytes) * math.Ln2)
	}
	return show(out, r, o.JSON)
}

// open opens the model and the data that it is measured on.
func (o EvalOptions) open(log io.Writer) (*bundle.Bundle, workload.Workload, error) {
	b, err := openBundle(o.Model, bundle.Options{Weights: o.Weights}, log)
	if err != nil {
		return nil, nil, err
	}
	w, err := workload.Open(b, workload.Source{Path: o.Data, Options: o.Text})
	if err != nil {
		b.Close()
		return nil, nil, err
	}
	return b, w, nil
}

func (r EvalResult) String() string {
	documents := ""
	if r.Documents > 0 {
		documents = fmt.Sprintf("documents   %d, mean of their losses %.4f\n", r.Documents, r.DocumentLoss)
	}
	return fmt.Sprintf("loss        %.4f nats a token\nperplexity  %.3f\ntokens      %d (sequences of %d)\n%sparameters  %d\nspeed       %.0f tokens/s\n",
		r.Loss, r.Perplexity, r.Tokens, r.Context, documents, r.Params, r.TokensPerS)
}

func (r EvalImagesResult) String() string {
	return fmt.Sprintf("top-1       %.2f %%\ntop-5       %.2f %%\nloss        %.4f nats an image\nimages      %d\nparameters  %d\nspeed       %.0f images/s\n",
		100*r.Top1, 100*r.Top5, r.Loss, r.Images, r.Params, r.ImagesPerS)
}

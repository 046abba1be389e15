package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/export"
	"github.com/ecospa/ecospa/pkg/prune"
)

// PruneOptions is what the flags of prune say.
type PruneOptions struct {
	From, Data, Field, Out string
	Config                 coupled.Config
	Improve                coupled.Improve
	Rounds                 int
	Uncoupled              bool
	Sequences, Context     int // of calibration
	Trial                  int // sequences for trial cuts
	EvalTokens             int // held-out tokens for the report; 0 is all
	SaveScores, Scores     string
	Plan                   string // apply this plan
	For                    string // a target of export whose shapes the plan has
	DryRun, Force, JSON    bool
	Threads                int
	DType                  string
	MemoryOf               string // inference or training
	MemoryBatch            int    // sequences that memory is planned for
	ranks                  ranks  // alone by default
}

func pruneCommand() *cli.Command {
	c, m := coupled.DefaultConfig(), coupled.DefaultImprove()
	return &cli.Command{
		Name:  "prune",
		Usage: "make a trained model smaller, in one shot or a few rounds",
		Description: "Gathers evidence about the model's coupled units on calibration text, decides which stay, improves what\n" +
			"stays (a better basis, a refit of the matrices that consume the units) and cuts. The source is only read.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "from", Required: true, Usage: "model or run `DIR` to prune"},
			&cli.StringFlag{Name: "data", Required: true, Usage: "calibration text: a .txt, .jsonl or .parquet file, a folder or a glob `PATH`, or images for a model of images; a tenth (of text the last) is for the report"},
			&cli.StringFlag{Name: "field", Value: "text", Usage: "`FIELD` of a .jsonl line or .parquet row that holds the text"},
			&cli.StringFlag{Name: "out", Usage: "model `DIR` to write; required unless --dry-run"},
			&cli.StringFlag{Name: "target", Usage: "what stays, `SIZE`: 0.45x, 27M or a count of parameters"},
			&cli.StringFlag{Name: "of", Value: c.Of, Usage: "`WHICH` parameters --target counts: all or prunable"},
			&cli.StringFlag{Name: "target-memory", Usage: "memory at most, `BYTES` as 2GiB, instead of --target"},
			&cli.StringFlag{Name: "memory-of", Value: "inference", Usage: "what --target-memory is about, `USE`: inference (weights, keys and values, one pass) or training (weights, gradients, moments, activations)"},
			&cli.IntFlag{Name: "memory-batch", Value: 1, Usage: "sequences of --context tokens that memory is planned for, `N`"},
			&cli.StringFlag{Name: "ratio", Usage: "share of each kind's units that goes, instead of --target: `qk=0.3,vo=0.4,ffn=0.5`"},
			&cli.StringFlag{Name: "kinds", Usage: "kinds of units that may go, `LIST` of qk, vo, ffn, head; default qk,vo,ffn"},
			&cli.StringFlag{Name: "criterion", Value: c.Criterion, Usage: "how units are scored, `NAME`: " + strings.Join(coupled.Criteria(), ", ")},
			&cli.StringFlag{Name: "allocation", Value: "auto", Usage: "how the budget is divided, `NAME`: " + strings.Join(coupled.Allocations(), ", ")},
			&cli.IntFlag{Name: "evaluations", Value: c.Evaluations, Usage: "trial cuts that measuring sensitivity may make, `N`"},
			&cli.StringFlag{Name: "qk-order", Value: "attention", Usage: "which qk units go first, `NAME`: " + strings.Join(coupled.QKOrders(), ", ") + "; attention is for rotation pairs (RoPE), others go by score"},
			&cli.StringFlag{Name: "layout", Value: c.Layout, Usage: "shapes that may come out, `NAME`: " + strings.Join(coupled.Layouts(), ", ")},
			&cli.StringFlag{Name: "for", Usage: "shapes that a format has, `TARGET`: " + strings.Join(export.Targets(), ", ") + "; instead of --layout"},
			&cli.IntFlag{Name: "round-to", Value: c.RoundTo, Usage: "widths of pruned matrices become multiples of `N` rows"},
			&cli.IntFlag{Name: "min-keep", Value: c.MinKeep, Usage: "units that every list keeps at least, `N`"},
			&cli.StringFlag{Name: "skip-layers", Usage: "layers that stay whole, `LIST` as 0,11"},
			&cli.StringFlag{Name: "basis", Value: m.Basis, Usage: "basis of linear pairs, `NAME`: " + strings.Join(coupled.Bases(), ", ")},
			&cli.StringFlag{Name: "compensate", Value: m.Compensate, Usage: "refit of the consumers, `NAME`: " + strings.Join(coupled.Compensations(), ", ")},
			&cli.BoolFlag{Name: "gains", Value: m.Gains, Usage: "fit gains of kept rotation pairs (RoPE)"},
			&cli.IntFlag{Name: "steps", Value: 1, Usage: "rounds, `N`, with evidence gathered anew in each"},
			&cli.BoolFlag{Name: "uncoupled", Usage: "ablation: each matrix zeroes its own least rows; shapes stay"},
			&cli.IntFlag{Name: "sequences", Value: 256, Usage: "calibration sequences, or images, `N`"},
			&cli.IntFlag{Name: "context", Usage: "tokens a calibration sequence, `N`; 0 is the model's context, at most 512"},
			&cli.IntFlag{Name: "trial-sequences", Value: prune.DefaultTrial, Usage: "sequences on which trial cuts are measured, `N`"},
			&cli.IntFlag{Name: "eval-tokens", Value: 32768, Usage: "held-out tokens, or images, for the report's loss, `N`; 0 is all"},
			&cli.Uint64Flag{Name: "seed", Value: c.Seed, Usage: "`SEED` of the criterion random and of the choice of sequences"},
			&cli.StringFlag{Name: "save-scores", Usage: "keep the evidence in `FILE`, to prune to another size without a new pass"},
			&cli.StringFlag{Name: "scores", Usage: "use evidence that --save-scores kept in `FILE`"},
			&cli.StringFlag{Name: "plan", Usage: "apply the plan in `FILE` (of --dry-run) instead of making one"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print the plan and write no model; with --out, write the plan there as FILE"},
			&cli.BoolFlag{Name: "force", Usage: "overwrite --out"},
			&cli.StringFlag{Name: "dtype", Value: "f32", Usage: "`TYPE` of the weights written: f32, f16 or bf16"},
			threadsFlag(),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			o, err := pruneFlags(c)
			if err != nil {
				return fault.Usage(err)
			}
			o.ranks = ranksOf(c)
			return interruptible(c, func() error { return RunPrune(o, c.App.Writer, c.App.ErrWriter) })
		},
	}
}

func pruneFlags(c *cli.Context) (PruneOptions, error) {
	o := PruneOptions{
		From: c.String("from"), For: c.String("for"), Data: c.String("data"), Field: c.String("field"), Out: c.String("out"), Rounds: c.Int("steps"), Uncoupled: c.Bool("uncoupled"),
		Sequences: c.Int("sequences"), Context: c.Int("context"), Trial: c.Int("trial-sequences"), EvalTokens: c.Int("eval-tokens"),
		SaveScores: c.String("save-scores"), Scores: c.String("scores"), Plan: c.String("plan"),
		DryRun: c.Bool("dry-run"), Force: c.Bool("force"), JSON: c.Bool("json"), Threads: c.Int("threads"), DType: strings.ToUpper(c.String("dtype")),
		MemoryOf: c.String("memory-of"), MemoryBatch: c.Int("memory-batch"),
		Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove(),
	}
	k := &o.Config
	k.TargetMemory = c.String("target-memory")
	k.Target, k.Of, k.Criterion, k.Allocation, k.QKOrder, k.Layout = c.String("target"), c.String("of"), c.String("criterion"), c.String("allocation"), c.String("qk-order"), c.String("layout")
	k.Evaluations, k.RoundTo, k.MinKeep, k.Seed = c.Int("evaluations"), c.Int("round-to"), c.Int("min-keep"), c.Uint64("seed")
	o.Improve.Basis, o.Improve.Compensate, o.Improve.Gains = c.String("basis"), c.String("compensate"), c.Bool("gains")
	for _, name := range list(c.String("kinds")) {
		k.Kinds = append(k.Kinds, coupled.Kind(name))
	}
	for _, s := range list(c.String("skip-layers")) {
		n, err := strconv.Atoi(s)
		if err != nil {
			return o, fmt.Errorf("--skip-layers has %q, expected a layer's number", s)
		}
		k.SkipLayers = append(k.SkipLayers, n)
	}
	for _, s := range list(c.String("ratio")) {
		kind, share, ok := strings.Cut(s, "=")
		x, err := strconv.ParseFloat(share, 64)
		if !ok || err != nil {
			return o, fmt.Errorf("--ratio has %q, expected KIND=SHARE", s)
		}
		if k.Ratio == nil {
			k.Ratio = map[coupled.Kind]float64{}
		}
		k.Ratio[coupled.Kind(kind)] = x
	}
	if o.Uncoupled {
		// The ablation is about scores alone; what improves a cut needs a cut.
		for _, f := range []string{"basis", "compensate", "gains", "allocation", "steps"} {
			if c.IsSet(f) && f != "allocation" {
				return o, fmt.Errorf("--%s does not apply with --uncoupled: its rows are only zeroed", f)
			}
		}
		o.Improve = coupled.Improve{Basis: coupled.BasisNone, Compensate: coupled.CompensateNone, Ridge: coupled.DefaultRidge}
		if !c.IsSet("allocation") {
			k.Allocation = "global"
		}
		if !c.IsSet("qk-order") {
			k.QKOrder = coupled.OrderScore
		}
	}
	return o, o.check(c)
}

// check refuses what does not go together.
func (o PruneOptions) check(c *cli.Context) error {
	switch {
	case o.Out == "" && !o.DryRun:
		return errors.New("--out DIR is required (or --dry-run)")
	case o.Plan == "" && !o.Config.Enabled():
		return errors.New("prune needs --target, --target-memory, --ratio or --plan")
	case o.MemoryOf != "inference" && o.MemoryOf != "training":
		return fmt.Errorf("--memory-of is %q, expected inference or training", o.MemoryOf)
	case o.MemoryBatch < 1:
		return errors.New("--memory-batch is expected to be at least 1")
	case c.IsSet("memory-of") && o.Config.TargetMemory == "":
		return errors.New("--memory-of applies only with --target-memory")
	case o.Plan != "" && (o.Config.Enabled() || o.DryRun || o.Uncoupled || c.IsSet("steps")):
		return errors.New("--plan applies decisions made earlier: --target, --ratio, --dry-run, --uncoupled and --steps do not go with it")
	case o.For != "" && (c.IsSet("layout") || o.Plan != "" || o.Uncoupled):
		return errors.New("--for decides about shapes: --layout, --plan and --uncoupled do not go with it")
	case o.Scores != "" && o.Improve.Basis == coupled.BasisDataSVD:
		return errors.New("--scores were gathered before a change of basis: give --basis none (when saving them as well)")
	case o.SaveScores != "" && (o.Rounds > 1 || o.Improve.Basis == coupled.BasisDataSVD):
		return errors.New("--save-scores keeps the evidence of one round in the model's own basis: give --basis none and no --steps")
	case o.Sequences < 1 || o.Context < 0 || o.Trial < 1 || o.EvalTokens < 0 || o.Threads < 0 || o.Rounds < 1:
		return errors.New("--sequences, --trial-sequences and --steps are expected to be at least 1, --context, --eval-tokens and --threads at least 0")
	case o.DType != "F32" && o.DType != "F16" && o.DType != "BF16":
		return fmt.Errorf("--dtype is %q, expected f32, f16 or bf16", strings.ToLower(o.DType))
	}
	if err := o.Improve.Validate(); err != nil {
		return fmt.Errorf("--%w", err)
	}
	return o.Config.Validate()
}

// list splits a comma-separated flag.
func list(s string) []string {
	if s == "" {
		return nil
	}
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// PruneSide is a model before or after, in PruneResult.
type PruneSide struct {
	Params     int     `json:"params"`
	FLOPs      float64 `json:"flops_per_token"` // of the matrix products of a forward pass
	FileBytes  int64   `json:"file_bytes"`      // of the weights as written
	Loss       float64 `json:"loss"`            // nats a token or an image, on held-out data
	Perplexity float64 `json:"perplexity,omitempty"`
	TokensPerS float64 `json:"tokens_per_s,omitempty"` // of evaluation

	// Of models of images instead of the last two.
	Top1       *float64 `json:"top1,omitempty"` // share of held-out images
	Top5       *float64 `json:"top5,omitempty"`
	ImagesPerS float64  `json:"images_per_s,omitempty"` // of evaluation
}

// PruneResult is what prune prints with --json.
type PruneResult struct {
	From         string      `json:"from"`
	Out          string      `json:"out"`
	Before       PruneSide   `json:"before"`
	After        *PruneSide  `json:"after"`         // null with --dry-run
	Rows         []PruneRow  `json:"rows"`          // the last plan, by layer and kind
	MemoryBefore PruneMemory `json:"memory_before"` // planned
	MemoryAfter  PruneMemory `json:"memory_after"`
	MemoryBatch  int         `json:"memory_batch"` // sequences that memory is planned for
	Context      int         `json:"context"`      // tokens of each, and of a calibration sequence
	Planned      int         `json:"planned_params"`
	Trials       int         `json:"trials"` // losses of trial cuts that were measured
	Zeroed       int         `json:"zeroed"` // rows, with --uncoupled
	Seconds      float64     `json:"seconds"`
	PeakRSS      int64       `json:"peak_rss"` // bytes
}

// RunPrune prunes; the report goes to out, progress to log.
func RunPrune(o PruneOptions, out, log io.Writer) error {
	if !o.DryRun {
		if _, err := os.Lstat(o.Out); err == nil && !o.Force {
			return fault.Usage(fmt.Errorf("%s is already there; give --force to overwrite it, or another --out", o.Out))
		}
		if same(o.From, o.Out) {
			return fault.Usage(fmt.Errorf("--out is the source, %s: a model is never pruned over itself", o.From))
		}
	}
	start := time.Now()
	p, err := preparePrune(o, log)
	if err != nil {
		return err
	}
	defer p.close()
	r, err := p.run()
	if err != nil {
		return err
	}
	r.Seconds = time.Since(start).Seconds()
	if o.JSON {
		return printJSON(out, r)
	}
	return r.print(out)
}

// same reports whether two paths are one directory.
func same(a, b string) bool {
	x, err := filepath.EvalSymlinks(a)
	y, err2 := filepath.EvalSymlinks(b)
	return err == nil && err2 == nil && filepath.Clean(x) == filepath.Clean(y)
}

func (r *PruneResult) print(out io.Writer) error {
	r.printRows(out)
	fmt.Fprintln(out)
	if r.After == nil {
		fmt.Fprintf(out, "%d -> %d parameters by plan; nothing was changed\n", r.Before.Params, r.Planned)
		return nil
	}
	s := newTable("", "before", "after", "ratio")
	type line struct {
		name string
		a, b float64
		f    string
	}
	lines := []line{
		{"parameters", float64(r.Before.Params), float64(r.After.Params), "%.0f"},
		{"FLOPs a token", r.Before.FLOPs, r.After.FLOPs, "%.0f"},
		{"file bytes", float64(r.Before.FileBytes), float64(r.After.FileBytes), "%.0f"},
	}
	if r.Before.Top1 != nil {
		lines = append(lines, line{"loss, nats an image", r.Before.Loss, r.After.Loss, "%.4f"},
			line{"top-1, %", 100 * *r.Before.Top1, 100 * *r.After.Top1, "%.2f"}, line{"top-5, %", 100 * *r.Before.Top5, 100 * *r.After.Top5, "%.2f"},
			line{"images/s", r.Before.ImagesPerS, r.After.ImagesPerS, "%.0f"})
	} else {
		lines = append(lines, line{"loss, nats a token", r.Before.Loss, r.After.Loss, "%.4f"},
			line{"perplexity", r.Before.Perplexity, r.After.Perplexity, "%.3f"}, line{"tokens/s", r.Before.TokensPerS, r.After.TokensPerS, "%.0f"})
	}
	for _, row := range lines {
		s.add(row.name, fmt.Sprintf(row.f, row.a), fmt.Sprintf(row.f, row.b), fmt.Sprintf("%.3f", row.b/row.a))
	}
	s.print(out)
	fmt.Fprintf(out, "\n%s written in %.1f s, peak resident memory %s\n", r.Out, r.Seconds, units.Bytes(r.PeakRSS))
	return nil
}

package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/progress"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/export"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/workload"
)

// PruneOptions is what the flags of prune say.
type PruneOptions struct {
	workload.Pruning
	Force, JSON bool
}

func pruneCommand() *cli.Command {
	c, m := coupled.DefaultConfig(), coupled.DefaultImprove()
	return &cli.Command{
		Name:  "prune",
		Usage: "make a trained model smaller, in one or several rounds",
		Description: "Gathers importance evidence for the model's coupled units on calibration data, chooses the units to keep, adjusts the\n" +
			"rest (a better basis, a refit of the matrices that read the units), prunes, and trains the result. The source is only read.\n" +
			"--target is what is kept, --ratio what is removed.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "from", Required: true, Usage: "model or run `DIR`, or a .gguf file, to prune"},
			&cli.StringFlag{Name: "data", Required: true, Usage: "calibration data: a .txt, .jsonl or .parquet file, a folder or a glob `PATH`; images for an image model; or parent: text sampled from the model itself; the last 10 % (of images, 10 % at random) are held out for the before/after evaluation"},
			&cli.StringFlag{Name: "out", Usage: "model `DIR` to write; required unless --dry-run"},
			&cli.StringFlag{Name: "target", Usage: "what is kept, `SIZE`: 0.45x, 27M or a number of parameters"},
			&cli.StringFlag{Name: "of", Value: c.Of, Usage: "`WHICH` parameters --target counts: all or prunable"},
			&cli.StringFlag{Name: "target-memory", Usage: "largest memory, `BYTES` such as 2GiB, instead of --target"},
			&cli.StringFlag{Name: "memory-of", Value: "inference", Usage: "what --target-memory counts, `USE`: inference (weights, keys and values, one pass) or training (weights, gradients, moments, activations)"},
			&cli.IntFlag{Name: "memory-batch", Value: 1, Usage: "sequences of --context tokens for which memory is planned, `N`"},
			&cli.StringFlag{Name: "ratio", Usage: "fraction of units to remove, per kind, instead of --target: `qk=0.3,vo=0.4,ffn=0.5`"},
			&cli.IntFlag{Name: "vocab", Usage: "first cut the vocabulary to at most the `N` ids used most in --data or --vocab-data; --target, if given, is a share of what remains"},
			&cli.StringFlag{Name: "vocab-data", Usage: "first cut the vocabulary to the ids that the text at `PATH` uses; with --vocab to the most used of them"},
			&cli.StringFlag{Name: "kinds", Usage: "unit kinds to prune, `LIST` of qk, vo, ffn, head, layer; default qk,vo,ffn"},
			&cli.StringFlag{Name: "criterion", Value: c.Criterion, Usage: "how units are scored, `NAME`: " + strings.Join(coupled.Criteria(), ", ")},
			&cli.StringFlag{Name: "allocation", Value: "auto", Usage: "how the budget is divided, `NAME`: " + strings.Join(coupled.Allocations(), ", ")},
			&cli.IntFlag{Name: "evaluations", Value: c.Evaluations, Usage: "most trial cuts for measuring sensitivity, `N`"},
			&cli.StringFlag{Name: "qk-order", Value: "attention", Usage: "which qk units are removed first, `NAME`: " + strings.Join(coupled.QKOrders(), ", ") + "; attention is for rotation pairs (RoPE), other models use score"},
			&cli.StringFlag{Name: "ffn-order", Value: "refit", Usage: "which feed-forward channels are removed first, `NAME`: score, or refit (what a refit of the others cannot make up for; score where --compensate is not lsq)"},
			&cli.StringFlag{Name: "layout", Value: c.Layout, Usage: "allowed shapes, `NAME`: " + strings.Join(coupled.Layouts(), ", ")},
			&cli.StringFlag{Name: "for", Usage: "only shapes that a format can hold, `TARGET`: " + strings.Join(export.Targets(), ", ") + "; instead of --layout"},
			&cli.IntFlag{Name: "round-to", Value: c.RoundTo, Usage: "widths of pruned matrices become multiples of `N` rows"},
			&cli.IntFlag{Name: "min-keep", Value: c.MinKeep, Usage: "minimum number of units kept per head or layer, `N`"},
			&cli.StringFlag{Name: "skip-layers", Usage: "layers that are not pruned, `LIST` such as 0,11"},
			&cli.StringFlag{Name: "basis", Value: m.Basis, Usage: "basis of linear pairs, `NAME`: " + strings.Join(coupled.Bases(), ", ")},
			&cli.StringFlag{Name: "compensate", Value: m.Compensate, Usage: "refit of the matrices that read the units, `NAME`: " + strings.Join(coupled.Compensations(), ", ")},
			&cli.BoolFlag{Name: "gains", Value: m.Gains, Usage: "fit gains of kept rotation pairs (RoPE)"},
			&cli.IntFlag{Name: "steps", Value: 1, Usage: "pruning rounds, `N`; evidence is gathered again in each"},
			&cli.StringFlag{Name: "recover", Value: workload.RecoverAuto, Usage: "train the result against the model before the cut, `BUDGET`: auto (four times as many tokens as calibration reads), tokens such as 200k, time such as 3m, or none"},
			&cli.BoolFlag{Name: "resume", Usage: "continue an interrupted recovery; --out holds the model so far; give the other flags as before"},
			&cli.BoolFlag{Name: "uncoupled", Usage: "ablation: zero the lowest rows of each matrix by its own ranking; shapes stay"},
			&cli.StringFlag{Name: "sequences", Value: "auto", Usage: "calibration sequences, or images, `N`; auto: increased until both halves of the evidence give nearly the same plan, at most 64, or 256 where no recovery follows"},
			&cli.IntFlag{Name: "context", Usage: "tokens per calibration sequence, `N`; 0 is the model's context, at most 512"},
			&cli.IntFlag{Name: "trial-sequences", Value: prune.DefaultTrial, Usage: "most sequences for measuring trial cuts, `N`"},
			&cli.StringFlag{Name: "recompute", Value: "auto", Usage: "activations recomputed in the calibration's backward pass to save memory, `LEVEL`: light, attention, layer, or auto, as needed"},
			&cli.StringFlag{Name: "checkpoint", Usage: "keep calibration results in `DIR`, from which the same command continues after an interruption"},
			&cli.StringFlag{Name: "weights", Usage: "`TYPE` of the matrices in memory: f32, bf16 or q8_0; default the source's if it is bf16, and f32 where the criterion needs weight gradients; --recover trains f32 by adamw and bf16 by apollo, by default f32 if that fits"},
			&cli.IntFlag{Name: "eval-tokens", Value: workload.EvalAuto, Usage: "held-out tokens, or images, for the report's loss, `N`; 0 is all, -1 is 16384, or a quarter of calibration's tokens where that saves much time"},
			&cli.Uint64Flag{Name: "seed", Value: c.Seed, Usage: "`SEED` of the random criterion and of the choice of sequences"},
			&cli.StringFlag{Name: "save-scores", Usage: "save the evidence to `FILE`, to prune to other sizes without another calibration pass"},
			&cli.StringFlag{Name: "scores", Usage: "use the evidence that --save-scores saved to `FILE`"},
			&cli.StringFlag{Name: "plan", Usage: "apply the plan in `FILE` (from --dry-run) instead of making one"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print the plan and write no model; with --out FILE, also write the plan to FILE"},
			&cli.BoolFlag{Name: "force", Usage: "overwrite --out"},
			&cli.StringFlag{Name: "dtype", Usage: "`TYPE` of the weights written: f32, f16 or bf16; default the source's"},
			threadsFlag(), jsonFlag(),
		}, textFlags()...),
		Action: pruneAction,
	}
}

func pruneAction(c *cli.Context) error {
	o, err := pruneFlags(c)
	if err != nil {
		return fault.Usage(err)
	}
	if o.Recover != workload.RecoverNone { // what has been recovered when a signal comes is written
		return RunPrune(c.Context, o, c.App.Writer, c.App.ErrWriter)
	}
	return interruptible(c, func() error { return RunPrune(c.Context, o, c.App.Writer, c.App.ErrWriter) })
}

func pruneFlags(c *cli.Context) (o PruneOptions, err error) {
	o = PruneOptions{Pruning: workload.DefaultPruning(), Force: c.Bool("force"), JSON: c.Bool("json")}
	o.From, o.For, o.Data, o.Text, o.Out = c.String("from"), c.String("for"), c.String("data"), textOptions(c), c.String("out")
	o.Rounds, o.Uncoupled, o.Context, o.Trial, o.Checkpoint = c.Int("steps"), c.Bool("uncoupled"), c.Int("context"), c.Int("trial-sequences"), c.String("checkpoint")
	if err = o.SetCalibration(c.String("sequences"), c.String("recompute"), c.String("weights")); err != nil {
		return o, err
	}
	o.EvalTokens, o.SaveScores, o.Scores, o.Plan = c.Int("eval-tokens"), c.String("save-scores"), c.String("scores"), c.String("plan")
	o.DryRun, o.DType, o.MemoryOf, o.MemoryBatch = c.Bool("dry-run"), strings.ToUpper(c.String("dtype")), c.String("memory-of"), c.Int("memory-batch")
	o.Resume, o.Recover, o.Vocabulary = c.Bool("resume"), c.String("recover"), workload.Vocabulary{Size: c.Int("vocab"), Path: c.String("vocab-data")}
	o.Ranks, o.Threads = ranksOf(c).Group, ranksOf(c).Threads(c.Int("threads"))
	k := &o.Config
	k.Target, k.TargetMemory, k.Of, k.Criterion, k.Allocation = c.String("target"), c.String("target-memory"), c.String("of"), c.String("criterion"), c.String("allocation")
	k.QKOrder, k.FFNOrder, k.Layout, k.Evaluations, k.RoundTo, k.MinKeep, k.Seed = c.String("qk-order"), c.String("ffn-order"), c.String("layout"), c.Int("evaluations"), c.Int("round-to"), c.Int("min-keep"), c.Uint64("seed")
	o.Improve.Basis, o.Improve.Compensate, o.Improve.Gains = c.String("basis"), c.String("compensate"), c.Bool("gains")
	k.Kinds = coupled.ToKinds(list(c.String("kinds")))
	if k.SkipLayers, err = numbers("skip-layers", c.String("skip-layers")); err != nil {
		return o, err
	}
	if k.Ratio, err = coupled.ParseRatio(list(c.String("ratio"))); err != nil {
		return o, fmt.Errorf("--ratio %w", err)
	}
	if o.Uncoupled {
		// The ablation is about scores only; what improves a cut needs a cut.
		for _, f := range []string{"basis", "compensate", "gains", "steps"} {
			if c.IsSet(f) {
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

// check refuses flags that contradict each other.
func (o PruneOptions) check(c *cli.Context) error {
	switch {
	case o.Out == "" && !o.DryRun:
		return errors.New("--out DIR is required (or --dry-run)")
	case o.Plan == "" && !o.Config.Enabled() && (!o.Vocabulary.Asked() || o.DryRun || o.Uncoupled):
		return errors.New("prune needs --target, --target-memory, --ratio or --plan, or to write a model --vocab or --vocab-data")
	case c.IsSet("memory-of") && o.Config.TargetMemory == "":
		return errors.New("--memory-of applies only with --target-memory")
	case o.Plan != "" && (o.Config.Enabled() || o.DryRun || o.Uncoupled || c.IsSet("steps")):
		return errors.New("--plan applies decisions made earlier: --target, --ratio, --dry-run, --uncoupled and --steps do not apply with it")
	case o.For != "" && (c.IsSet("layout") || o.Plan != "" || o.Uncoupled):
		return errors.New("--for decides the shapes: --layout, --plan and --uncoupled do not apply with it")
	case o.Resume && (o.Recover == workload.RecoverNone || o.DryRun || o.Uncoupled || o.Force || o.Vocabulary.Asked()):
		return errors.New("--resume continues a recovery: --recover none, --dry-run, --uncoupled, --force and --vocab do not apply with it")
	case o.Scores != "" && o.Improve.Basis == coupled.BasisDataSVD:
		return errors.New("--scores were gathered before a change of basis: give --basis none (when saving them as well)")
	case o.SaveScores != "" && (o.Rounds > 1 || o.Improve.Basis == coupled.BasisDataSVD):
		return errors.New("--save-scores keeps the evidence of one round in the model's own basis: give --basis none and no --steps")
	case o.Sequences < 0 || o.Context < 0 || o.Trial < 1 || o.EvalTokens < workload.EvalAuto || o.Threads < 0 || o.Rounds < 1 || o.MemoryBatch < 1:
		return errors.New("--trial-sequences, --steps and --memory-batch are expected to be at least 1, --context and --threads at least 0, --eval-tokens at least -1")
	case !slices.Contains([]string{"inference", "training"}, o.MemoryOf):
		return fmt.Errorf("--memory-of is %q, expected inference or training", o.MemoryOf)
	case !slices.Contains([]string{"", "F32", "F16", "BF16"}, o.DType):
		return fmt.Errorf("--dtype is %q, expected f32, f16 or bf16", strings.ToLower(o.DType))
	}
	return cmp.Or(checkText(o.Text), o.Improve.Validate(), o.Config.Validate())
}

// RunPrune prunes; the report goes to out, progress to log.
func RunPrune(ctx context.Context, o PruneOptions, out, log io.Writer) error {
	if err := vacant(o.Out, o.From, o.Force || o.Resume); err != nil {
		return err
	}
	shown := progress.NewWork(log)
	o.Log, o.Working = shown.Say, shown.Pruning
	r, err := o.Run(ctx)
	shown.End()
	if mem := (*prune.MemoryError)(nil); errors.As(err, &mem) {
		return fmt.Errorf("%w; give a shorter --context, or --basis none with --compensate none", err)
	}
	switch {
	case errors.Is(err, workload.ErrRecoveryKept):
		err = fmt.Errorf("%w: %w: the same command with --resume continues", errInterrupted, err)
	case errors.Is(err, workload.ErrRecoveryEnded):
		err = fmt.Errorf("%w: %w", errInterrupted, err)
	case err != nil && ctx.Err() != nil:
		err = fmt.Errorf("%w: nothing was written", errInterrupted)
	}
	if r == nil { // an error, or another rank than the first
		return err
	}
	return errors.Join(show(out, r, o.JSON), err)
}

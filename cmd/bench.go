package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/bench"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
)

func benchCommand() *cli.Command {
	c := &cli.Command{
		Name:      "bench",
		UsageText: "ecospa bench BENCHMARK [command options]",
		Usage:     "measure this machine and this program",
		Subcommands: []*cli.Command{
			benchStepCommand(),
			benchInferCommand(),
			benchWireCommand(),
			benchCompareCommand(),
			benchFrontierCommand(),
			benchPaperCommand(),
		},
	}
	c.Description = "Benchmarks:\n"
	for _, s := range c.Subcommands {
		s.OnUsageError = onUsageError
		s.HideHelpCommand = true
		s.Before = noArguments("")
		c.Description += fmt.Sprintf("  %-8s %s\n", s.Name, s.Usage)
	}
	c.Description += "Each has its own --help. Sizes for --model: " + strings.Join(model.Names(), ", ")
	c.HideHelpCommand = true
	c.Action = func(c *cli.Context) error {
		if c.Args().Present() {
			return fault.Usage(fmt.Errorf("no benchmark %q; run ecospa bench --help for the list", c.Args().First()))
		}
		return cli.ShowSubcommandHelp(c)
	}
	return c
}

// sizeFlags are what bench step and bench infer have in common.
func sizeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "model", Aliases: []string{"m"}, Value: "llama-60m", Usage: "model size by `NAME`: " + strings.Join(model.Names(), ", ")},
		&cli.IntFlag{Name: "batch", Value: 4, Usage: "sequences, or images, per batch, `B`"},
		&cli.IntFlag{Name: "seq", Value: 256, Usage: "tokens per sequence, `T`; fixed for image models"},
		&cli.IntFlag{Name: "steps", Value: 5, Usage: "timed steps, `N`, after one warm-up step; the median is reported"},
		&cli.StringFlag{Name: "dtype", Value: "f32", Usage: "`TYPE` of the inputs of matrix products: f32 or bf16; with bench infer also q8_0, of the weights"},
		&cli.IntFlag{Name: "qk-dim", Usage: "pruned width of the query and key heads, `COLUMNS`; 0 is dense"},
		&cli.IntFlag{Name: "vo-dim", Usage: "pruned width of the value heads, `COLUMNS`; 0 is dense"},
		&cli.IntFlag{Name: "ffn", Usage: "pruned feed-forward width, `CHANNELS`; 0 is dense"},
		&cli.Float64Flag{Name: "prune", Usage: "`FRACTION` of the parameters to keep, by uniform widths; 0 is dense"},
		&cli.StringFlag{Name: "of", Value: "all", Usage: "what --prune is a fraction `OF`: all, or prunable (no embeddings, norms, biases of the residual stream)"},
		&cli.StringFlag{Name: "cpu", Usage: "CPU code `PATH` of the kernels: " + strings.Join(kernel.Paths(), ", ") + "; default the fastest available"},
		threadsFlag(),
		jsonFlag(),
	}
}

// benchFlags is what sizeFlags say.
func benchFlags(c *cli.Context) (bench.Options, error) {
	o := bench.Options{
		Engine: "ecospa " + Version, Model: c.String("model"), Batch: c.Int("batch"), Seq: c.Int("seq"), Steps: c.Int("steps"), Threads: c.Int("threads"),
		QK: c.Int("qk-dim"), VO: c.Int("vo-dim"), FFN: c.Int("ffn"), Prune: c.Float64("prune"), Of: c.String("of"), BF16: c.String("dtype") == "bf16",
		Q8: c.String("dtype") == "q8_0" && c.Command.Name == "infer",
	}
	switch {
	case c.String("dtype") != "f32" && !o.BF16 && !o.Q8:
		return o, fault.Usage(fmt.Errorf("--dtype is %q, expected f32 or bf16, or q8_0 of bench infer", c.String("dtype")))
	case o.Of != "all" && o.Of != "prunable":
		return o, fault.Usage(fmt.Errorf("--of is %q, expected all or prunable", o.Of))
	case o.Prune != 0 && (!(o.Prune > 0 && o.Prune <= 1) || o.QK+o.VO+o.FFN > 0):
		return o, fault.Usage(errors.New("--prune is expected to be above 0 and at most 1, and without --qk-dim, --vo-dim and --ffn"))
	case o.Batch < 1 || o.Seq < 1 || o.Steps < 1 || o.Threads < 0:
		return o, fault.Usage(errors.New("--batch, --seq and --steps are expected to be at least 1, --threads at least 0"))
	}
	seq := o.Seq
	if err := o.Resolve(); err != nil {
		return o, fault.Usage(err)
	}
	if o.Seq != seq && c.IsSet("seq") {
		return o, fault.Usage(fmt.Errorf("--seq does not apply to %s: its images are %d tokens", o.Model, o.Seq))
	}
	return o, usePath(c.String("cpu"))
}

// benchError gives options that cannot be timed the exit code of usage.
func benchError(err error) error {
	if errors.Is(err, bench.ErrOptions) {
		return fault.Usage(err)
	}
	return err
}

// cpuPaths are the values of --cpu.
var cpuPaths = kernel.Paths

// usePath forces the kernels' CPU path, where one is named.
func usePath(name string) error {
	if name == "" {
		return nil
	}
	return fault.Usage(kernel.UsePath(name))
}

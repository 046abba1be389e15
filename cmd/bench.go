package cmd

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/kernel"
)

func benchCommand() *cli.Command {
	c := &cli.Command{
		Name:  "bench",
		Usage: "measure this machine and this program",
		Subcommands: []*cli.Command{
			benchStepCommand(),
			benchInferCommand(),
			benchGemmCommand(),
			benchKernelsCommand(),
			benchMemoryCommand(),
			benchWireCommand(),
			benchCompareCommand(),
			benchPaperCommand(),
			benchCalibrateCommand(),
		},
	}
	for _, s := range c.Subcommands {
		s.OnUsageError = onUsageError
		s.HideHelpCommand = true
		s.Before = noArguments("")
	}
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
		&cli.StringFlag{Name: "model", Value: "llama-60m", Usage: "size by `NAME` (see ecospa bench step --help)"},
		&cli.IntFlag{Name: "batch", Value: 4, Usage: "sequences, or images, at a time, `B`"},
		&cli.IntFlag{Name: "seq", Value: 256, Usage: "tokens a sequence, `T`; images have as many as their model takes"},
		&cli.IntFlag{Name: "steps", Value: 5, Usage: "timed steps, `N`, after one that is not; the median counts"},
		&cli.StringFlag{Name: "dtype", Value: "f32", Usage: "`TYPE` of what the matrix products read: f32 or bf16"},
		&cli.IntFlag{Name: "qk-dim", Usage: "pruned width of the query and key heads, `COLUMNS`; 0 is dense"},
		&cli.IntFlag{Name: "vo-dim", Usage: "pruned width of the value heads, `COLUMNS`; 0 is dense"},
		&cli.IntFlag{Name: "ffn", Usage: "pruned feed-forward width, `CHANNELS`; 0 is dense"},
		&cli.Float64Flag{Name: "prune", Usage: "`SHARE` of the parameters to keep, by uniform widths; 0 is dense"},
		&cli.StringFlag{Name: "of", Value: "all", Usage: "what --prune is a share `OF`: all, or prunable (no embeddings, norms, biases of the residual stream)"},
		&cli.StringFlag{Name: "cpu", Usage: "force a CPU `PATH` of the kernels; default the best one here"},
		threadsFlag(),
		jsonFlag(),
	}
}

// usePath forces the kernels' CPU path, where one is named.
func usePath(name string) error {
	if name == "" {
		return nil
	}
	return fault.Usage(kernel.UsePath(name))
}

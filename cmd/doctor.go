package cmd

import (
	"errors"

	"github.com/ecospa/ecospa/internal/bench"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/urfave/cli/v2"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "measure this machine and show which models fit",
		Description: "Measures the arithmetic peak and the memory bandwidth (a second or two), reads the free memory\n" +
			"and the control group's limit, and plans the training memory of every named model size. Peaks are momentary:\n" +
			"other work on the machine lowers them.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "batch", Value: 4, Usage: "sequences per batch, `B`, for which memory is planned"},
			&cli.IntFlag{Name: "context", Value: 256, Usage: "tokens per sequence, `T`"},
			threadsFlag(),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.Int("batch") < 1 || c.Int("batch") > 1<<12 || c.Int("context") < 1 || c.Int("context") > 1<<16 || c.Int("threads") < 0 {
				return fault.Usage(errors.New("--batch is expected to be 1 to 4096, --context 1 to 65536, --threads at least 0"))
			}
			r, err := bench.MachineOptions{
				Batch: c.Int("batch"), Context: c.Int("context"), Threads: c.Int("threads"), Version: Version, Available: available,
			}.Measure()
			if err != nil {
				return err
			}
			return show(c.App.Writer, r, c.Bool("json"))
		},
	}
}

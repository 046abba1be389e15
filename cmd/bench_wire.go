package cmd

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/units"
)

// WireResult is what bench wire prints with --json.
type WireResult struct {
	Ranks   int         `json:"ranks"`
	Library string      `json:"library"`
	Rows    []dist.Rate `json:"rows"`
}

func benchWireCommand() *cli.Command {
	return &cli.Command{
		Name:  "wire",
		Usage: "check communication between the ranks of an MPI run, and time sums over them: mpirun -np N ecospa bench wire",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "steps", Value: 9, Usage: "timed sums of each size, `N`; the median is reported"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			r := ranksOf(c)
			if !r.Many() {
				return fault.Usage(errors.New("bench wire times what ranks send each other: start them with mpirun -np N ecospa bench wire"))
			}
			if c.Int("steps") < 1 {
				return fault.Usage(errors.New("--steps is expected to be at least 1"))
			}
			w := WireResult{Ranks: r.Size(), Library: r.Library()}
			var err error
			if w.Rows, err = dist.Rates(r.Group, c.Int("steps")); err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(c.App.Writer, w)
			}
			fmt.Fprintf(c.App.Writer, "%d ranks of %s\n", w.Ranks, w.Library)
			t := units.NewTable("type", "bytes", "ms", "GB/s")
			for _, r := range w.Rows {
				t.Add(r.DType, r.Bytes, fmt.Sprintf("%.3f", r.Ms), fmt.Sprintf("%.3f", r.GBs))
			}
			t.Print(c.App.Writer)
			return nil
		},
	}
}

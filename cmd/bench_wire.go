package cmd

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/train"
)

// WireResult is what bench wire prints with --json.
type WireResult struct {
	Ranks   int       `json:"ranks"`
	Library string    `json:"library"`
	Rows    []WireRow `json:"rows"`
}

// WireRow is the sum of one vector over the ranks.
type WireRow struct {
	DType string  `json:"dtype"` // on the wire: f32 or bf16
	Bytes int     `json:"bytes"` // of the vector, as it travels
	Ms    float64 `json:"ms"`    // median
	GBs   float64 `json:"gb_s"`  // bytes that a ring passes on, 2(N-1)/N of the vector, in that time
}

func benchWireCommand() *cli.Command {
	return &cli.Command{
		Name:  "wire",
		Usage: "check that the ranks of an MPI run understand each other, and time sums over them: mpirun -np N ecospa bench wire",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "steps", Value: 9, Usage: "timed sums of each size, `N`; the median counts"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			r := ranksOf(c)
			if !r.many() {
				return fault.Usage(errors.New("bench wire times what ranks send each other: start them with mpirun -np N ecospa bench wire"))
			}
			if c.Int("steps") < 1 {
				return fault.Usage(errors.New("--steps is expected to be at least 1"))
			}
			w := WireResult{Ranks: r.Size(), Library: r.world.Library()}
			var err error
			if w.Rows, err = wireRows(r.Group, c.Int("steps")); err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(c.App.Writer, w)
			}
			return w.print(c.App.Writer)
		},
	}
}

// wireRows exercises a group and times its sums, of vectors from one element on.
func wireRows(g dist.Group, steps int) ([]WireRow, error) {
	if err := dist.Exercise(g, dist.Bounds(1000, g.Size(), 1)); err != nil {
		return nil, err
	}
	var rows []WireRow
	meet := make([]float32, 1)
	for _, n := range []int{1, 1 << 12, 1 << 16, 1 << 20, 1 << 24} {
		x := make([]float32, n)
		for _, wire := range []struct {
			dtype string
			width int
			sum   func([]float32) error
		}{{train.WireF32, 4, g.Sum}, {train.WireBF16, 2, g.SumBF16}} {
			ms := make([]float64, 0, steps)
			for i := range steps + 1 { // the first opens connections
				if err := g.Sum(meet); err != nil { // all begin together
					return nil, err
				}
				start := time.Now()
				if err := wire.sum(x); err != nil {
					return nil, err
				}
				if i > 0 {
					ms = append(ms, time.Since(start).Seconds()*1e3)
				}
			}
			bytes := wire.width * n
			ring := 2 * float64(g.Size()-1) / float64(g.Size()) * float64(bytes)
			m := units.Median(ms)
			rows = append(rows, WireRow{wire.dtype, bytes, m, ring / m / 1e6})
		}
	}
	return rows, nil
}

func (w WireResult) print(out io.Writer) error {
	fmt.Fprintf(out, "%d ranks of %s\n", w.Ranks, w.Library)
	t := newTable("wire", "bytes", "ms", "GB/s")
	for _, r := range w.Rows {
		t.add(r.DType, r.Bytes, fmt.Sprintf("%.3f", r.Ms), fmt.Sprintf("%.3f", r.GBs))
	}
	t.print(out)
	return nil
}

// Gorgonia shows what ecospa's graph package gives a program that builds its own
// graphs with Gorgonia: a machine whose values share one planned arena, and
// operations, RMSNorm and attention here, that gorgonia.Grad differentiates like any other.
//
//	go run ./examples/gorgonia
package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/kernel/blas"
)

func main() {
	graph.UseBLAS(blas.New(0)) // products by ecospa's kernels, on both machines
	if err := run(os.Stdout, 100); err != nil {
		fmt.Fprintln(os.Stderr, "gorgonia:", err)
		os.Exit(1)
	}
}

// run shows both graphs; pairs is how often the two machines are timed in turn.
func run(out io.Writer, pairs int) error {
	for _, s := range []size{{64, 256, 512, 10}, {128, 512, 1024, 10}} {
		r, err := compare(s, pairs)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "classifier of %d rows, %d-%d-%d, Gorgonia's operations only: largest difference %.1g\n", s.rows, s.in, s.hidden, s.classes, r.difference)
		fmt.Fprintf(out, "  tape machine   %8.3f ms a step  %7.2f MiB of values\n", ms(r.tape), mib(r.values))
		fmt.Fprintf(out, "  graph.Machine  %8.3f ms a step  %7.2f MiB planned\n", ms(r.machine), mib(r.planned))
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	losses, m, err := learn(pool, 60)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "a layer of RMSNorm and attention within Gorgonia's operations: loss %.3f, after %d steps %.3f; %.2f MiB planned for %.2f MiB of values\n",
		losses[0], len(losses)-1, losses[len(losses)-1], mib(m.Plan().ArenaBytes()), mib(m.Plan().ValueBytes()))
	return m.Close()
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

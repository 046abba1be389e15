package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/kernel/blas"
)

// TestExample: both machines agree, the arena is smaller than what the tape machine
// holds, and the layer of attention learns.
func TestExample(t *testing.T) {
	graph.UseBLAS(blas.New(0))
	r, err := compare(size{16, 12, 20, 5}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if !(r.difference <= 1e-6) || r.planned <= 0 || r.planned >= r.values {
		t.Errorf("the machines differ by %g; %d bytes planned, the tape machine holds %d", r.difference, r.planned, r.values)
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	losses, m, err := learn(pool, 60)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if first, last := losses[0], losses[len(losses)-1]; !(last < first/4) {
		t.Errorf("the loss went from %g to %g", first, last)
	}
	var out bytes.Buffer
	if err := run(&out, 1); err != nil || !strings.Contains(out.String(), "MiB planned") {
		t.Errorf("run: %v, %q", err, out.String())
	}
}

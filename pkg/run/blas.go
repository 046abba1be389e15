package run

import (
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel/blas"
)

// UseBLAS has Gorgonia's own matrix products, on any machine of the process, run on this
// module's kernels with one thread a core.
func UseBLAS() { graph.UseBLAS(blas.New(0)) }

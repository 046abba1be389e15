package model

import (
	"github.com/ecospa/ecospa/pkg/graph"
)

// checkpoints begins a layer's two checkpoints: around all of it, and from its
// first norm to its attention's output projection (graph.Recompute).
func checkpoints(b *graph.Builder) (endLayer, endAttention func()) {
	endLayer = b.Checkpoint(graph.RecomputeLayer)
	return endLayer, b.Checkpoint(graph.RecomputeAttention)
}

// start is where a graph begins: at the embedding, or with the residual stream
// that enters layer `from`, the input "hidden" [N, E].
func start(b *graph.Builder, n, e, from int, embed func() *graph.Node) *graph.Node {
	if from > 0 {
		return b.Floats("hidden", n, e)
	}
	return embed()
}

// lastRow is the last of each sequence's T rows.
func lastRow(b *graph.Builder, x *graph.Node, T int) *graph.Node {
	if T == 1 {
		return x
	}
	return b.Rows(x, T, T-1)
}

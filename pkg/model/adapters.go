package model

import (
	"math"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// AdapterSpecs are the parameters of low-rank adapters of a rank for the matrices of
// the layers of set: of attention (q, k and v as one matrix, and o) and of the
// feed-forward network. They have the coupled dimensions of the matrices beside which
// they stand, so that a cut shrinks both alike. A new adapter's product is 0.
func AdapterSpecs(set *param.Set, rank int, attention, ffn bool) []param.Spec {
	return adapterSpecs(set, func(b *param.Block) (r param.Dim) {
		switch b.Params[0].Role {
		case param.Q, param.O:
			if attention {
				r = param.Dim{Name: "rank", Size: rank}
			}
		case param.Gate, param.Up, param.Down:
			if ffn {
				r = param.Dim{Name: "rank", Size: rank}
			}
		}
		return r
	})
}

// AdapterSpecsOf are AdapterSpecs where each block of matrices has a rank of its own; 0 is
// no adapter.
func AdapterSpecsOf(set *param.Set, rank map[string]int) []param.Spec {
	return adapterSpecs(set, func(b *param.Block) param.Dim {
		return param.Dim{Name: b.Name + ".rank", Size: rank[b.Name]}
	})
}

func adapterSpecs(set *param.Set, rank func(*param.Block) param.Dim) []param.Spec {
	var out []param.Spec
	for _, b := range set.Blocks {
		r := rank(b)
		if r.Size == 0 {
			continue
		}
		last := func(p *param.Param) param.Dim { return p.Dims[len(p.Dims)-1] }
		shaped := func(p *param.Param, suffix string, init param.Init) param.Spec {
			dims := append(append([]param.Dim(nil), p.Dims[:len(p.Dims)-1]...), r)
			for i := range dims {
				dims[i].Track = false
			}
			return param.Spec{Name: p.Name + suffix, Layer: p.Layer, Block: b.Name + suffix, Dims: dims, Init: init}
		}
		small := func(fan int) param.Init { return param.Init{Std: float32(1 / math.Sqrt(3*float64(fan)))} }
		first := b.Params[0]
		if readsUnits(first.Role) {
			out = append(out, shaped(first, graph.AdapterA, small(b.Rows)),
				param.Spec{Name: b.Name + graph.AdapterB, Layer: first.Layer, Dims: []param.Dim{last(first), r}})
			continue
		}
		out = append(out, param.Spec{Name: b.Name + graph.AdapterA, Layer: first.Layer, Dims: []param.Dim{r, last(first)}, Init: small(last(first).Size)})
		for _, p := range b.Params {
			out = append(out, shaped(p, graph.AdapterB, param.Init{}))
		}
	}
	return out
}

// AdapterCut is the part of a cut that concerns the adapters.
func AdapterCut(adapters *param.Set, c param.Cut) param.Cut {
	out := param.Cut{}
	for dim, keep := range c {
		if adapters.Dim(dim).Size > 0 {
			out[dim] = keep
		}
	}
	return out
}

// Merge adds the adapters' products, scaled, to the weights beside which they stand.
func Merge(pool *kernel.Pool, set, adapters *param.Set, scale float32) {
	for _, b := range set.Blocks {
		a, o := adapters.Block(b.Name+graph.AdapterA), adapters.Block(b.Name+graph.AdapterB)
		if a == nil || o == nil {
			continue
		}
		mat := func(x *param.Block, data []float32) kernel.Matrix { return kernel.Mat(data, x.Rows, x.Cols) }
		scaled := append([]float32(nil), a.In(adapters.Weights)...)
		for i := range scaled {
			scaled[i] *= scale
		}
		w, b1, b2 := mat(b, b.In(set.Weights)), mat(a, scaled), mat(o, o.In(adapters.Weights))
		if readsUnits(b.Params[0].Role) {
			kernel.MatMul(pool, w, b1, b2, kernel.Product{TransB: true, Accumulate: true}) // [M, r]·[E, r]ᵀ
		} else {
			kernel.MatMul(pool, w, b2, b1, kernel.Product{Accumulate: true}) // [M, r]·[r, E]
		}
	}
}

// AdapterTensors says how adapters are laid out on disk: as they are, by their own names.
func AdapterTensors(adapters *param.Set) []checkpoint.Tensor {
	var out []checkpoint.Tensor
	for _, p := range adapters.Params {
		t := checkpoint.Tensor{Name: p.Name, Parts: []checkpoint.Part{{Param: p.Name}}}
		out = append(out, t)
	}
	return out
}

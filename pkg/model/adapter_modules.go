package model

import (
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// AdapterModule is a linear module of transformers beside whose weight the PEFT library
// puts an adapter: A [rank, in], B [out, rank], added as B·A to the weight [out, in]. The
// parameters of one of our blocks may be several modules (q, k and v) or one.
type AdapterModule struct {
	Name    string   // "model.layers.0.self_attn.q_proj"
	Aliases []string // other names of it
	Block   string   // of parameters that it is, or is a part of
	Conv    bool     // it stores its weight [in, out] (GPT-2's Conv1D)

	layer int
	entry Name
}

// adapted are the roles of matrices that can have adapters.
var adapted = []param.Role{param.Q, param.K, param.V, param.O, param.Gate, param.Up, param.Down}

// AdapterModules are the modules of a model that can have adapters, layer by layer.
func (t *Table) AdapterModules(set *param.Set) []AdapterModule {
	var out []AdapterModule
	t.Each(set, true, func(n Name, layer int, name string) {
		module, ok := strings.CutSuffix(name, ".weight")
		if !ok || !n.Layered() || !slices.Contains(adapted, n.Roles[0]) {
			return
		}
		m := AdapterModule{Name: module, Block: set.LayerParam(layer, n.Roles[0]).Block, Conv: n.Conv, layer: layer, entry: n}
		for _, a := range append([]string{n.HF}, n.Aliases...) {
			full := strings.TrimSuffix(inLayer(a, layer), ".weight")
			if full != module {
				m.Aliases = append(m.Aliases, full)
			}
			if bare, ok := strings.CutPrefix(full, t.Prefix); ok && t.Prefix != "" {
				m.Aliases = append(m.Aliases, bare)
			}
		}
		m.entry.Conv, m.entry.Shape = false, nil // A and B lie as those of a Linear
		out = append(out, m)
	})
	return out
}

// Reads reports whether the module reads units and writes the residual stream, so that
// its adapter's A has the units.
func (m AdapterModule) Reads() bool { return readsUnits(m.entry.Roles[0]) }

// Parameters are those of set that the module is made of.
func (m AdapterModule) Parameters(set *param.Set) []*param.Param {
	var out []*param.Param
	for _, r := range m.entry.Roles {
		out = append(out, set.LayerParam(m.layer, r))
	}
	return out
}

// Specs are an adapter of the module by itself: A [rank, in] is called by the first
// parameter's name with the suffix ".a", B by each parameter's with ".b"; where the
// module Reads, A is [in, rank].
func (m AdapterModule) Specs(set *param.Set, rank int) []param.Spec {
	of := m.Parameters(set)
	first, r := of[0], param.Dim{Size: rank}
	e := first.Dims[len(first.Dims)-1]
	shaped := func(p *param.Param, suffix string) param.Spec {
		return param.Spec{Name: p.Name + suffix, Layer: m.layer, Role: p.Role, Dims: append(slices.Clone(p.Dims[:len(p.Dims)-1]), r)}
	}
	if m.Reads() {
		return []param.Spec{shaped(first, graph.AdapterA), {Name: first.Name + graph.AdapterB, Layer: m.layer, Dims: []param.Dim{e, r}}}
	}
	out := []param.Spec{{Name: first.Name + graph.AdapterA, Layer: m.layer, Dims: []param.Dim{r, e}}}
	for _, p := range of {
		out = append(out, shaped(p, graph.AdapterB))
	}
	return out
}

// Tensors are A and B as PEFT's files have them, called a and b; set is the model's and
// own has the Specs.
func (m AdapterModule) Tensors(t *Table, set, own *param.Set, a, b string) []checkpoint.Tensor {
	return m.tensors(set, own, [2]string{a, b}, file{hf: true, halves: true, rotary: t.Rotary, head: t.HeadDim})
}

// GGUFTensors are A and B as llama.cpp's files of adapters have them; nil where the module has
// no tensor there.
func (m AdapterModule) GGUFTensors(t *Table, set, own *param.Set) []checkpoint.Tensor {
	if m.entry.GGUF == "" {
		return nil
	}
	name := inLayer(m.entry.GGUF, m.layer)
	return m.tensors(set, own, [2]string{name + ".lora_a", name + ".lora_b"}, file{halves: t.GGUF.Halves, rotary: t.Rotary, head: t.HeadDim})
}

// tensors are A and B in a file, by their names.
func (m AdapterModule) tensors(set, own *param.Set, names [2]string, f file) []checkpoint.Tensor {
	a, b := names[0], names[1]
	layout := func(name string) checkpoint.Tensor { return m.entry.tensor(own, m.layer, name, f) }
	first := m.Parameters(set)[0].Name
	plain := func(name, suffix string) checkpoint.Tensor {
		return checkpoint.Tensor{Name: name, Parts: []checkpoint.Part{{Param: first + suffix}}}
	}
	if m.Reads() {
		return []checkpoint.Tensor{layout(a), plain(b, graph.AdapterB)}
	}
	return []checkpoint.Tensor{plain(a, graph.AdapterA), layout(b)}
}

// Attention reports whether the module is one of attention, not of the feed-forward network.
func (m AdapterModule) Attention() bool {
	r := m.entry.Roles[0]
	return r != param.Gate && r != param.Up && r != param.Down
}

// A is the name of A in a set of Specs.
func (m AdapterModule) A(set *param.Set) string { return m.Parameters(set)[0].Name + graph.AdapterA }

// Share is a module's part of its block's adapter.
type Share struct {
	At    int     // first of its ranks there
	Scale float32 // of B there
}

// Join copies the module's adapter, a part of own, into that of its block.
func (m AdapterModule) Join(set, own, joined *param.Set, s Share) {
	m.pairs(set, own, joined, func(mine, all *param.Param, a bool) {
		width, scale := mine.Size(), s.Scale
		if a {
			scale = 1
		}
		rank, total := m.ranks(mine, all, a)
		if a && !m.Reads() { // [rank, in] in [total, in]
			copy(all.Data()[s.At*width/rank:], mine.Data())
			return
		}
		for i := range width / rank { // [rows, rank] in [rows, total]
			for j, v := range mine.Data()[i*rank : (i+1)*rank] {
				all.Data()[i*total+s.At+j] = v * scale
			}
		}
	})
}

// Part is the opposite of Join for adapters of the same rank: it copies the module's part
// of its block's adapter into own.
func (m AdapterModule) Part(set, own, joined *param.Set) {
	m.pairs(set, own, joined, func(mine, all *param.Param, _ bool) { copy(mine.Data(), all.Data()) })
}

// pairs calls f for each parameter of own and the one of joined that it is a part of.
func (m AdapterModule) pairs(set, own, joined *param.Set, f func(mine, all *param.Param, a bool)) {
	of := m.Parameters(set)
	first := of[0].Name
	if m.Reads() {
		f(own.Param(first+graph.AdapterA), joined.Param(first+graph.AdapterA), true)
		f(own.Param(first+graph.AdapterB), joined.Param(m.Block+graph.AdapterB), false)
		return
	}
	f(own.Param(first+graph.AdapterA), joined.Param(m.Block+graph.AdapterA), true)
	for _, p := range of {
		f(own.Param(p.Name+graph.AdapterB), joined.Param(p.Name+graph.AdapterB), false)
	}
}

// ranks is where a parameter of own, and the one of joined, has its rank.
func (m AdapterModule) ranks(mine, all *param.Param, a bool) (rank, total int) {
	if a && !m.Reads() {
		return mine.Dims[0].Size, all.Dims[0].Size
	}
	return mine.Dims[len(mine.Dims)-1].Size, all.Dims[len(all.Dims)-1].Size
}

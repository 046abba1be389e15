package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/param"
)

// Table says what a family's parameters are called in files: one table for reading
// and writing Hugging Face's safetensors and GGUF.
type Table struct {
	Tensors []Name
	Prefix  string // "model.": files of the bare model lack it
	GGUF    *GGUF  // nil where llama.cpp has no such model

	Rotary      int    // columns of a head that turn, where it is not all; the others follow them in files
	HeadDim     int    // columns of a head, with Rotary
	Class       string // transformers' class
	FixedScale  bool   // a key of its config says the scale of scores
	WholeHeads  bool   // heads cannot be narrower in files than the family has them
	FixedHeads  bool   // that class makes heads as wide as the residual stream over their number
	Distilled   bool   // DeiT
	FFNMultiple int    // its feed-forward widths are multiples of this; 0 and 1 are any
}

// Name is one tensor. "%d" in a name is the layer; one without is outside of the layers.
type Name struct {
	Roles   []param.Role // the parameters, one below the other
	HF      string
	GGUF    string   // "" where the format has none
	Conv    bool     // Hugging Face stores the matrix [in, out]
	ByHead  bool     // Hugging Face joins the parameters head by head
	Aliases []string // other names in Hugging Face's files
	Shape   []int    // in Hugging Face's files, where it is not [out, in] or [n]
}

// Layered reports whether every layer has the tensor.
func (n Name) Layered() bool { return strings.Contains(n.HF, "%d") }

// Matrix reports whether the tensor is a matrix whose rows are units or the residual stream.
func (n Name) Matrix() bool {
	r := n.Roles[0]
	return !IsNorm(r) && r != param.LayerScale1 && r != param.LayerScale2 && !strings.HasSuffix(string(r), "_bias")
}

// withNames is a table with further names: those of layers follow the last one that
// each layer has. One that names the same tensor as an entry takes its place.
func withNames(names []Name, more ...Name) []Name {
	var out []Name
	last := 0
	for _, n := range names {
		if !slices.ContainsFunc(more, func(m Name) bool { return m.HF == n.HF }) {
			out = append(out, n)
		}
		if n.Layered() {
			last = len(out)
		}
	}
	return slices.Insert(out, last, more...)
}

// IsNorm reports whether a role is a norm's gain.
func IsNorm(r param.Role) bool {
	switch r {
	case param.Norm1, param.Norm2, param.PostNorm1, param.PostNorm2, param.FinalNorm, param.EmbedNorm, param.HeadNorm, param.QNorm, param.KNorm:
		return true
	}
	return false
}

// readsUnits reports whether a matrix stands [units, E] for a product from the other side.
func readsUnits(r param.Role) bool { return r == param.O || r == param.Down }

// Transposed reports whether the file's matrix is the parameter's transposed; with
// hf false, in GGUF, which stores [out, in] always.
func (n Name) Transposed(hf bool) bool {
	return n.Matrix() && readsUnits(n.Roles[0]) != (n.Conv && hf)
}

// Each calls f for every tensor that the set has, layer by layer, with its name in
// the format; GGUF skips those without.
func (t *Table) Each(set *param.Set, hf bool, f func(n Name, layer int, name string)) {
	for i := 0; i < len(t.Tensors); {
		if !t.Tensors[i].Layered() {
			t.one(set, hf, t.Tensors[i], param.Outside, f)
			i++
			continue
		}
		end := i
		for end < len(t.Tensors) && t.Tensors[end].Layered() {
			end++
		}
		for layer := range set.Layers() {
			for _, n := range t.Tensors[i:end] {
				t.one(set, hf, n, layer, f)
			}
		}
		i = end
	}
}

func (t *Table) one(set *param.Set, hf bool, n Name, layer int, f func(Name, int, string)) {
	name := n.HF
	if !hf {
		name = n.GGUF
	}
	if name == "" || set.LayerParam(layer, n.Roles[0]) == nil {
		return
	}
	f(n, layer, inLayer(name, layer))
}

// inLayer puts the layer into a name.
func inLayer(name string, layer int) string { return strings.ReplaceAll(name, "%d", fmt.Sprint(layer)) }

// HF is where the parameters are in Hugging Face's files, which keep the first rows of
// a head's rotation pairs before the second ones.
func (t *Table) HF(set *param.Set) []checkpoint.Tensor {
	var out []checkpoint.Tensor
	t.Each(set, true, func(n Name, layer int, name string) {
		ts := n.tensor(set, layer, name, file{hf: true, halves: true, rotary: t.Rotary, head: t.HeadDim})
		if rest, ok := strings.CutPrefix(name, t.Prefix); ok && t.Prefix != "" {
			ts.Aliases = append(ts.Aliases, rest)
		}
		for _, a := range n.Aliases {
			a = inLayer(a, layer)
			ts.Aliases = append(ts.Aliases, a)
			if rest, ok := strings.CutPrefix(a, t.Prefix); ok && t.Prefix != "" {
				ts.Aliases = append(ts.Aliases, rest)
			}
		}
		out = append(out, ts)
	})
	return out
}

// GGUFTensors is where they are in a GGUF file.
func (t *Table) GGUFTensors(set *param.Set) []checkpoint.Tensor {
	var out []checkpoint.Tensor
	t.Each(set, false, func(n Name, layer int, name string) {
		out = append(out, n.tensor(set, layer, name, file{halves: t.GGUF.Halves, rotary: t.Rotary, head: t.HeadDim}))
	})
	return out
}

// file is how a format orders the rows of rotated heads: see GGUF.Halves, Table.Rotary.
type file struct {
	hf, halves bool
	rotary     int
	head       int
}

// tensor lays the parameters out in a file.
func (n Name) tensor(set *param.Set, layer int, name string, f file) checkpoint.Tensor {
	hf := f.hf
	t := checkpoint.Tensor{Name: name, Rank: 1}
	if n.Matrix() {
		t.Rank = 2
	}
	if n.Transposed(hf) {
		t.Axis = 1
	}
	if hf {
		t.Shape = n.Shape
	}
	if hf && n.Roles[0] == param.Head && set.LayerParam(param.Outside, param.Embed) != nil {
		t.IfMissing = `if the model has none but its embedding, config.json lacks "tie_word_embeddings": true`
	}
	for _, r := range n.Roles {
		p := set.LayerParam(layer, r)
		if split, at := f.split(p); split > 0 {
			t.Parts = append(t.Parts, checkpoint.Part{Param: p.Name, Split: split, At: at})
		} else {
			t.Parts = append(t.Parts, checkpoint.Part{Param: p.Name, Perm: permutation(p, f.halves && f.rotary == 0, n.Transposed(hf))})
		}
	}
	if hf && n.ByHead {
		t.Heads = set.LayerDim(layer, param.KV).Size
	}
	return t
}

// split is the rotated pairs of a parameter's heads, which precede the others in files,
// and the dimension of its pairs. A pruned layer keeps its own order: heads may have
// different numbers of them.
func (f file) split(p *param.Param) (pairs, at int) {
	for i, d := range p.Dims {
		if f.halves && f.rotary > 0 && d.Kind == param.QK && d.Track && 2*d.Size == f.head {
			return f.rotary / 2, i
		}
	}
	return 0, 0
}

// permutation is the order of a parameter's dimensions in a file: with halves the two
// rows of a pair are the outer dimension, transposed the residual stream is.
func permutation(p *param.Param, halves, transposed bool) []int {
	var perm []int
	for i := range p.Dims {
		perm = append(perm, i)
	}
	for i, d := range p.Dims {
		if halves && d.Kind == param.QK && d.Track {
			perm[i], perm[i+1] = i+1, i
		}
	}
	if transposed {
		last := len(perm) - 1
		perm = append([]int{perm[last]}, perm[:last]...)
	}
	return perm
}

// entry is a tensor of one parameter: the formats' suffix ".weight" or ".bias" is added.
func entry(hf, gguf string, role param.Role) Name {
	suffix := ".weight"
	if strings.HasSuffix(string(role), "_bias") {
		suffix = ".bias"
	}
	n := Name{Roles: []param.Role{role}, HF: hf + suffix}
	if gguf != "" {
		n.GGUF = gguf + suffix
	}
	return n
}

// has reports whether files may have a parameter of the role.
func (t *Table) has(role param.Role) bool {
	return slices.ContainsFunc(t.Tensors, func(n Name) bool { return slices.Contains(n.Roles, role) })
}

package export

import (
	"fmt"
	"math"
	"slices"

	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Gap is a constraint of a format that the model does not meet by itself.
type Gap struct {
	What string `json:"what"` // what is not as the format wants it
	Need string `json:"need"` // which flag of prune meets it
}

func (g Gap) String() string { return g.What + " (" + g.Need + ")" }

// rules are a format's constraints on a decoder's shapes.
type rules struct {
	name      string // of the format, as messages call it
	flag      string // of --for
	anyHeads  bool   // layers may differ in their number of heads
	anyFFN    bool   // layers may differ in their feed-forward width
	divisible bool   // heads divide the residual width
	product   bool   // heads times head width is the residual width
	scaled    bool   // a key says the scale of scores
	whole     bool   // heads keep their width and all of their rotation pairs
	multiple  int    // feed-forward widths are multiples of this; 0 and 1 are any
}

// fit is the shape of the attention and feed-forward network in a file.
type fit struct {
	headDim int
	rotary  int   // columns of a head that turn, 0 for all
	pairs   []int // dense rotation pairs of a head, in order; nil without RoPE
	layers  []layerFit
	scale   float64   // of queries
	norm    float64   // columns that a norm of queries is over, to those of the dense model
	factors []float64 // by which frequencies are divided; nil when all are 1
	gaps    []Gap
}

type layerFit struct{ kv, ffn int }

// fitTo finds the least shape under the rules that holds the model.
func (s *source) fitTo(r rules) *fit {
	f := &fit{layers: make([]layerFit, s.Layers), scale: 1, rotary: s.table.Rotary}
	layout := "prune with --for " + r.flag
	gap := func(need, format string, a ...any) {
		f.gaps = append(f.gaps, Gap{fmt.Sprintf(format, a...), need})
	}
	kv, ffn, vo := 0, 0, 0
	for i := range f.layers {
		w := s.widths(i)
		f.layers[i] = layerFit{w.KV, w.FFN}
		kv, ffn, vo = max(kv, w.KV), max(ffn, w.FFN), max(vo, w.VO)
	}
	if r.product {
		kv = s.KVHeads
	}
	for r.divisible && s.Hidden%(kv*s.Repeat()) != 0 && kv < s.KVHeads {
		kv++
	}
	if m := max(1, r.multiple); ffn%m != 0 {
		ffn = min(s.FFN, (ffn+m-1)/m*m)
	}
	s.fitHeadDim(f, r, vo, gap)
	for i := range f.layers {
		w := s.widths(i)
		if !r.anyHeads {
			if w.KV != kv {
				gap(layout, "layer %d keeps %d K/V heads, %s needs %d", i, w.KV, r.name, kv)
			}
			f.layers[i].kv = kv
		}
		if !r.anyFFN {
			if w.FFN != ffn {
				gap(layout, "layer %d keeps %d feed-forward channels, %s needs %d in every layer", i, w.FFN, r.name, ffn)
			}
			f.layers[i].ffn = ffn
		}
	}
	switch width := float64(f.headDim); {
	case r.scaled:
	case s.Scale == 1/math.Sqrt(float64(s.HeadDim)):
		f.scale = math.Sqrt(width / float64(s.HeadDim))
	default:
		f.scale = s.Scale * math.Sqrt(width)
	}
	f.norm = float64(f.headDim) / float64(s.HeadDim)
	if s.QKNorm == model.AllQKNorm {
		f.norm *= float64(f.layers[0].kv) / float64(s.KVHeads)
	}
	return f
}

// fitHeadDim finds the width of heads: room for the widest value head and for
// every rotation pair that some head keeps.
func (s *source) fitHeadDim(f *fit, r rules, vo int, gap func(need, format string, a ...any)) {
	layout := "prune with --for " + r.flag
	if s.freqs == nil || r.whole {
		f.headDim = s.HeadDim
		for i := range f.layers {
			if w := s.widths(i); w.QK*s.Pair(i) != f.headDim || w.VO != f.headDim {
				gap("prune with --for "+r.flag+", which leaves query, key and value heads whole", "layer %d keeps %d columns of q and k and %d of v a head, %s needs whole heads of %d", i, w.QK*s.Pair(i), w.VO, r.name, f.headDim)
			}
		}
		if s.freqs != nil {
			for p := range s.HeadDim / 2 {
				f.pairs = append(f.pairs, p)
			}
		}
		return
	}
	has := make([]bool, s.HeadDim/2)
	for i := range f.layers {
		for _, pairs := range s.origin(i) {
			for _, p := range pairs {
				has[p] = true
			}
		}
	}
	for p, ok := range has {
		if ok {
			f.pairs = append(f.pairs, p)
		}
	}
	union := len(f.pairs)
	for p := 0; 2*len(f.pairs) < vo; p++ {
		if !has[p] {
			f.pairs = append(f.pairs, p)
		}
	}
	slices.Sort(f.pairs)
	f.headDim = 2 * len(f.pairs)
	for i := range f.layers {
		for g, pairs := range s.origin(i) {
			if len(pairs) != union {
				gap(layout, "layer %d, K/V head %d keeps %d of the %d rotation pairs that some head keeps, %s needs the same ones everywhere", i, g, len(pairs), union, r.name)
				break
			}
		}
		if w := s.widths(i); w.VO != f.headDim || 2*w.QK != f.headDim && len(s.origin(i)[0]) == union {
			gap(layout, "layer %d keeps %d columns of q and k and %d of v a head, %s needs one width of all, %d", i, 2*w.QK, w.VO, r.name, f.headDim)
		}
	}
	s.fitFrequencies(f)
}

// fitFrequencies finds what the frequencies theta^(-2j/headDim) of the file are
// to be divided by, to be those of the pairs.
func (s *source) fitFrequencies(f *fit) {
	at := make([]float64, s.HeadDim/2) // by dense pair
	for i := range f.layers {
		freqs := s.freqs(i)
		for g, pairs := range s.origin(i) {
			for u, p := range pairs {
				at[p] = freqs[min(g, len(freqs)-1)][u]
			}
		}
	}
	factors := make([]float64, len(f.pairs))
	plain := true
	for j, p := range f.pairs {
		factors[j] = 1
		if at[p] != 0 { // a pair of zeros may turn as it likes
			factors[j] = math.Pow(s.theta(), -2*float64(j)/float64(f.headDim)) / at[p]
		}
		plain = plain && math.Abs(factors[j]-1) < 1e-12
	}
	if !plain {
		f.factors = factors
	}
}

// none are n rows of zeros.
func none(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = -1
	}
	return out
}

// queryRows are the rows of q for the file: of every K/V head, of each of its
// repeat query heads. With halves the first rows of all pairs come before the
// second ones, as in Hugging Face files; otherwise a pair's two rows are adjacent.
func (f *fit) queryRows(s *source, layer, repeat int, halves bool) []int {
	w, origin := s.widths(layer), s.origin(layer)
	var out []int
	for g := range f.layers[layer].kv {
		for r := range repeat {
			if g >= w.KV {
				out = append(out, none(f.headDim)...)
				continue
			}
			head := (g*repeat + r) * w.QK
			if f.pairs == nil || origin == nil {
				out = append(out, upTo(head, w.QK, f.headDim)...)
				continue
			}
			out = append(out, f.pairRows(origin[g], head, halves)...)
		}
	}
	return out
}

// pairRows are the rows of one head of which origin is the pairs, the first of them
// unit `head`.
func (f *fit) pairRows(origin []int, head int, halves bool) []int {
	unit := map[int]int{}
	for u, p := range origin {
		unit[p] = u
	}
	out := none(f.headDim)
	turned := len(f.pairs)
	if f.rotary > 0 {
		turned = f.rotary / 2
	}
	for j, p := range f.pairs {
		u, ok := unit[p]
		for t := 0; ok && t < 2; t++ {
			if halves && j < turned {
				out[t*turned+j] = (head+u)*2 + t
			} else {
				out[2*j+t] = (head+u)*2 + t
			}
		}
	}
	return out
}

// gainRows are the elements of the gain of queries or keys: of one head that stands
// for all, or of all.
func (f *fit) gainRows(s *source, layer int, role param.Role, halves bool) []int {
	switch {
	case s.QKNorm == model.AllQKNorm && role == param.QNorm:
		return f.queryRows(s, layer, s.Repeat(), halves)
	case s.QKNorm == model.AllQKNorm:
		return f.queryRows(s, layer, 1, halves)
	case f.pairs == nil || s.origin(layer) == nil:
		return upTo(0, s.widths(layer).QK, f.headDim)
	}
	return f.pairRows(s.origin(layer)[0], 0, halves)
}

// valueRows are the rows of v (repeat 1), or of o.
func (f *fit) valueRows(s *source, layer, repeat int) []int {
	w := s.widths(layer)
	var out []int
	for g := range f.layers[layer].kv {
		for r := range repeat {
			if g >= w.KV {
				out = append(out, none(f.headDim)...)
				continue
			}
			out = append(out, upTo((g*repeat+r)*w.VO, w.VO, f.headDim)...)
		}
	}
	return out
}

// ffnRows are the rows of the feed-forward matrices.
func (f *fit) ffnRows(s *source, layer int) []int {
	return upTo(0, s.widths(layer).FFN, f.layers[layer].ffn)
}

// upTo is n rows from `from` on, then zeros up to `all`.
func upTo(from, n, all int) []int {
	out := make([]int, all)
	for i := range out {
		out[i] = from + i
		if i >= n {
			out[i] = -1
		}
	}
	return out
}

package export

import (
	"fmt"
	"math"
	"slices"
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
	whole     bool   // heads keep their width and all of their rotation pairs
}

// fit is the shape of the attention and feed-forward network in a file.
type fit struct {
	headDim int
	pairs   []int // dense rotation pairs of a head, in order; nil without RoPE
	layers  []layerFit
	scale   float64   // of W_Q and its bias
	factors []float64 // by which frequencies are divided; nil when all are 1
	gaps    []Gap
}

type layerFit struct{ kv, ffn int }

// fitTo finds the least shape under the rules that holds the model.
func (s *source) fitTo(r rules) *fit {
	f := &fit{layers: make([]layerFit, s.Layers), scale: 1}
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
	f.scale = math.Sqrt(float64(f.headDim) / float64(s.HeadDim))
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
			if f.pairs == nil {
				out = append(out, upTo(head, w.QK, f.headDim)...)
				continue
			}
			unit := map[int]int{}
			for u, p := range origin[g] {
				unit[p] = u
			}
			at := len(out)
			out = append(out, none(f.headDim)...)
			for j, p := range f.pairs {
				u, ok := unit[p]
				for t := 0; ok && t < 2; t++ {
					if halves {
						out[at+t*len(f.pairs)+j] = (head+u)*2 + t
					} else {
						out[at+2*j+t] = (head+u)*2 + t
					}
				}
			}
		}
	}
	return out
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

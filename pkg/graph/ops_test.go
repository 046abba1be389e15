package graph

import (
	"strings"
	"testing"
)

func qkv(s Shape) []int { return []int{s.B * s.T, s.Width()} }

var (
	plain   = Shape{B: 2, T: 3, G: 2, R: 2, QK: 4, VO: 3, Scale: 0.7}
	masked  = Shape{B: 2, T: 3, G: 2, R: 2, QK: 4, VO: 3, Scale: 0.7, Causal: true}
	odd     = Shape{B: 2, T: 3, G: 2, R: 2, QK: 5, VO: 3, Scale: 0.7}
	window  = Shape{B: 2, T: 3, G: 2, R: 2, QK: 4, VO: 3, Scale: 0.7, Window: 2}
	capped  = Shape{B: 2, T: 3, G: 2, R: 2, QK: 4, VO: 3, Scale: 0.7, Window: 2, Causal: true, SoftCap: 1.5}
	oneList = [][]float32{{1, 0.3}}
	byHead  = [][]float32{{1, 0.3}, {0.5, 0.1}}
)

func ids(b *Builder) *Node { return b.IDs("ids", 6) }

var _ = joins([]opCase{
	{"linear", [][]int{{6, 5}, {4, 5}}, 6, 4, func(b *Builder, p []*Node) *Node { return b.Linear(p[0], p[1], nil) }},
	{"linear bias", [][]int{{6, 5}, {4, 5}, {4}}, 6, 4, func(b *Builder, p []*Node) *Node { return b.Linear(p[0], p[1], p[2]) }},
	{"linear in", [][]int{{6, 4}, {4, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.LinearIn(p[0], p[1], nil, nil) }},
	{"linear in bias residual", [][]int{{6, 4}, {4, 5}, {5}, {6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.LinearIn(p[0], p[1], p[2], p[3]) }},
	{"layernorm", [][]int{{6, 5}, {10}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.LayerNorm(p[0], p[1], 1e-5) }},
	{"layernorm without a bias", [][]int{{6, 5}, {5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.LayerNorm(p[0], p[1], 1e-5) }},
	{"rmsnorm", [][]int{{6, 5}, {5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.RMSNorm(p[0], p[1], RMSNorm{Eps: 1e-6}) }},
	{"gelu", [][]int{{6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.GELU(p[0], false) }},
	{"gelu tanh", [][]int{{6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.GELU(p[0], true) }},
	{"swiglu", [][]int{{6, 10}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.SwiGLU(p[0]) }},
	{"scale", [][]int{{6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Scale(p[0], -1.5) }},
	{"add", [][]int{{6, 5}, {6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Add(p[0], p[1]) }},
	{"add to itself", [][]int{{6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Add(p[0], p[0]) }},
	{"used three times", [][]int{{6, 5}, {5, 5}}, 6, 5, func(b *Builder, p []*Node) *Node {
		return b.Add(b.Linear(b.Linear(p[0], p[1], nil), p[1], nil), b.Linear(p[0], p[1], nil))
	}},
	{"residual is its own input", [][]int{{6, 5}, {5, 5}, {6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node {
		h := b.Add(p[0], p[2]) // must not be overwritten while it is multiplied
		return b.LinearIn(h, p[1], nil, h)
	}},
	{"gain is computed", [][]int{{6, 5}, {5}, {5}}, 6, 5, func(b *Builder, p []*Node) *Node {
		return b.RMSNorm(p[0], b.Add(p[1], p[2]), RMSNorm{Eps: 1e-6}) // a gradient that goes two ways
	}},
	{"embed", [][]int{{7, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Embed(ids(b), p[0]) }},
	{"positions", [][]int{{6, 5}, {4, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.AddRows(p[0], p[1], 3) }},
	{"rows", [][]int{{12, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Rows(p[0], 2, 1) }},
	{"prepend", [][]int{{4, 5}, {5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Prepend(p[0], p[1], 2) }},
	{"prepend two", [][]int{{2, 5}, {2, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Prepend(p[0], p[1], 1) }},
	{"rope", [][]int{qkv(plain)}, 6, plain.Width(), func(b *Builder, p []*Node) *Node {
		return b.RoPE(p[0], nil, Rotary{Freqs: oneList, Length: 3}, plain, nil)
	}},
	{"rope by head", [][]int{qkv(plain)}, 6, plain.Width(), func(b *Builder, p []*Node) *Node {
		return b.RoPE(p[0], nil, Rotary{Freqs: byHead, Length: 3}, plain, nil)
	}},
	{"attention", [][]int{qkv(plain)}, 6, 12, func(b *Builder, p []*Node) *Node { return b.Attention(p[0], nil, plain) }},
	{"causal attention", [][]int{qkv(masked)}, 6, 12, func(b *Builder, p []*Node) *Node { return b.Attention(p[0], nil, masked) }},
	{"rope of some columns at given positions", [][]int{qkv(odd)}, 6, odd.Width(), func(b *Builder, p []*Node) *Node {
		return b.RoPE(p[0], b.IDs("pos", 6), Rotary{Freqs: oneList, Length: 4}, odd, nil)
	}},
	{"rope of some columns, longer", [][]int{qkv(odd)}, 6, odd.Width(), func(b *Builder, p []*Node) *Node {
		return b.RoPE(p[0], nil, Rotary{Freqs: oneList, Length: 3, Gain: 1.2}, odd, nil)
	}},
	{"attention of documents", [][]int{qkv(plain)}, 6, 12, func(b *Builder, p []*Node) *Node { return b.Attention(p[0], b.IDs("starts", 6), plain) }},
	{"causal attention of documents", [][]int{qkv(masked)}, 6, 12, func(b *Builder, p []*Node) *Node {
		return b.Attention(p[0], b.IDs("starts", 6), masked)
	}},
	{"attention in a window", [][]int{qkv(window)}, 6, 12, func(b *Builder, p []*Node) *Node { return b.Attention(p[0], nil, window) }},
	{"causal attention in a window", [][]int{qkv(capped)}, 6, 12, func(b *Builder, p []*Node) *Node { return b.Attention(p[0], nil, capped) }},
	{"qk norm", [][]int{qkv(odd), {5}, {5}}, 6, odd.Width(), func(b *Builder, p []*Node) *Node {
		return b.QKNorm(p[0], p[1], p[2], odd, QKNorm{Eps: 1e-6})
	}},
	{"qk norm by head, gain plus one", [][]int{qkv(odd), {10}, {10}}, 6, odd.Width(), func(b *Builder, p []*Node) *Node {
		return b.QKNorm(p[0], p[1], p[2], odd, QKNorm{Eps: 1e-6, PlusOne: true, Over: 7})
	}},
	{"qk norm over heads", [][]int{qkv(odd), {20}, {10}}, 6, odd.Width(), func(b *Builder, p []*Node) *Node {
		return b.QKNorm(p[0], p[1], p[2], odd, QKNorm{Eps: 1e-6, AllHeads: true, Over: 24})
	}},
	{"rmsnorm, gain plus one", [][]int{{6, 5}, {5}}, 6, 5, func(b *Builder, p []*Node) *Node {
		return b.RMSNorm(p[0], p[1], RMSNorm{Eps: 1e-6, PlusOne: true})
	}},
	{"geglu", [][]int{{6, 10}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.GeGLU(p[0], false) }},
	{"geglu tanh", [][]int{{6, 10}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.GeGLU(p[0], true) }},
	{"softcap", [][]int{{6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.SoftCap(p[0], 1.5) }},
	{"logits", [][]int{{6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Logits(p[0], Logits{Scale: 0.5, SoftCap: 2}) }},
	{"add scaled", [][]int{{6, 5}, {6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.AddScaled(p[0], p[1], -0.7) }},
	{"given positions", [][]int{{6, 5}, {4, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.AddRowsAt(p[0], p[1], b.IDs("pos", 6)) }},
	{"scale columns", [][]int{{6, 5}, {5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.ScaleColumns(p[0], p[1]) }},
	{"class and mean", [][]int{{18, 5}}, 6, 10, func(b *Builder, p []*Node) *Node { return b.ClassMean(p[0], 3) }},
	{"nothing but the head", [][]int{{6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return p[0] }},
}...)

// Documents that begin after they began are refused before anything runs.
func TestStartsChecked(t *testing.T) {
	b := NewBuilder(nil, BuildOptions{})
	b.Output("y", b.Attention(b.Floats("x", 6, plain.Width()), b.IDs("starts", 6), plain))
	m := lowered(t, b, LowerOptions{})
	ok(t, m.SetInts("starts", []int32{0, 2, 1, 0, 0, 0}))
	if err := m.RunAll(); err == nil || !strings.Contains(err.Error(), "token 2 of sequence 0 starts at 1, expected 2 to 3") {
		t.Errorf("starts that fall: %v", err)
	}
	if err := m.SetInts("starts", []int32{0, 0, 4, 0, 0, 0}); err == nil {
		t.Error("starts beyond the sequence were taken")
	}
}

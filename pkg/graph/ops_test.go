package graph

func qkv(s Shape) []int { return []int{s.B * s.T, s.Width()} }

var (
	plain   = Shape{B: 2, T: 3, G: 2, R: 2, QK: 4, VO: 3, Scale: 0.7}
	masked  = Shape{B: 2, T: 3, G: 2, R: 2, QK: 4, VO: 3, Scale: 0.7, Causal: true}
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
	{"rmsnorm", [][]int{{6, 5}, {5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.RMSNorm(p[0], p[1], 1e-6) }},
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
		return b.RMSNorm(p[0], b.Add(p[1], p[2]), 1e-6) // a gradient that goes two ways
	}},
	{"embed", [][]int{{7, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Embed(ids(b), p[0]) }},
	{"positions", [][]int{{6, 5}, {4, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.AddRows(p[0], p[1], 3) }},
	{"rows", [][]int{{12, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Rows(p[0], 2, 1) }},
	{"prepend", [][]int{{4, 5}, {5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Prepend(p[0], p[1], 2) }},
	{"prepend two", [][]int{{2, 5}, {2, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Prepend(p[0], p[1], 1) }},
	{"rope", [][]int{qkv(plain)}, 6, plain.Width(), func(b *Builder, p []*Node) *Node { return b.RoPE(p[0], oneList, plain, 3, nil) }},
	{"rope by head", [][]int{qkv(plain)}, 6, plain.Width(), func(b *Builder, p []*Node) *Node { return b.RoPE(p[0], byHead, plain, 3, nil) }},
	{"attention", [][]int{qkv(plain)}, 6, 12, func(b *Builder, p []*Node) *Node { return b.Attention(p[0], plain) }},
	{"causal attention", [][]int{qkv(masked)}, 6, 12, func(b *Builder, p []*Node) *Node { return b.Attention(p[0], masked) }},
	{"nothing but the head", [][]int{{6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return p[0] }},
}...)

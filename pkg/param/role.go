package param

import (
	"strconv"
	"strings"
)

// Kind says what the units of a dimension are, where pruning can remove them.
type Kind string

// The kinds of dimensions. "" is a dimension that pruning leaves alone.
const (
	QK  Kind = "qk"  // dimensions of a query/key head; rotation pairs under RoPE
	VO  Kind = "vo"  // dimensions of a value head
	FFN Kind = "ffn" // hidden channels of the feed-forward network
	KV  Kind = "kv"  // key/value heads, each with its query heads

	Layer Kind = "layer" // a whole layer: see WholeLayer
)

// Side says on which side of a coupled pair a parameter stands with a dimension:
// A makes the units' values, B reads them.
//
//	kind   side A               side B
//	qk     q (R query heads)    k
//	vo     v                    o (R query heads)
//	ffn    gate, up             down
//	kv     q, k, v              o
//
// Biases stand with their matrix. A parameter that only follows the units (the gain
// of a norm over them) has no side: it is cut with them, but neither scored nor changed.
type Side int8

// The sides.
const (
	NoSide Side = iota
	SideA
	SideB
)

// Role says what a parameter is in a transformer, whatever its family calls it.
type Role string

// The roles. A layer has each at most once. Biases have the role of their matrix
// with "_bias" appended (see Bias).
const (
	Embed     Role = "embed"     // token table [V, E]
	Positions Role = "positions" // learned positions [P, E]
	Head      Role = "head"      // output matrix [V, E] that is not the token table
	FinalNorm Role = "norm"      // last norm

	TokenTypes Role = "token_types" // of an encoder: what text of a pair a token is of [types, E]
	EmbedNorm  Role = "embed_norm"  // norm of the embedding
	Pooler     Role = "pooler"      // matrix [E, E] for the first token
	HeadDense  Role = "head_dense"  // matrix [E, E] before an encoder's head
	HeadNorm   Role = "head_norm"   // norm before it

	Norm1     Role = "norm1" // norm before attention
	PostNorm1 Role = "post1" // norm on attention's output, before it joins the residual stream
	Norm2     Role = "norm2" // norm before the feed-forward network
	PostNorm2 Role = "post2" // norm on its output
	Q         Role = "q"
	K         Role = "k"
	V         Role = "v"
	O         Role = "o"
	QNorm     Role = "q_norm" // gain of the norm over queries
	KNorm     Role = "k_norm" // gain of the norm over keys
	Gate      Role = "gate"   // the activated half of a gated feed-forward network
	Up        Role = "up"     // the other half, or its first matrix where there is no gate
	Down      Role = "down"   // its last matrix

	LayerScale1 Role = "layer_scale1" // multiplies the columns of attention's output
	LayerScale2 Role = "layer_scale2" // and those of the feed-forward network's

	Patch        Role = "patch" // image squares to tokens
	ClassToken   Role = "class_token"
	MaskToken    Role = "mask_token" // stands for hidden squares in pre-training
	DistillToken Role = "distill_token"
	DistillHead  Role = "distill_head"
)

// Bias is the role of the bias that belongs to a matrix or a norm.
func (r Role) Bias() Role { return r + "_bias" }

// InLayer names something of a layer: "layer.3.qk". Names are for people and files:
// nothing reads them apart.
func InLayer(layer int, what string) string {
	return "layer." + strconv.Itoa(layer) + "." + what
}

// Outside is the Layer of parameters that belong to no layer.
const Outside = -1

// sides is the table of Side.
var sides = map[Role]map[Kind]Side{
	Q:    {KV: SideA, QK: SideA},
	K:    {KV: SideA, QK: SideB},
	V:    {KV: SideA, VO: SideA},
	O:    {KV: SideB, VO: SideB},
	Gate: {FFN: SideA},
	Up:   {FFN: SideA},
	Down: {FFN: SideB},
}

// takeSides gives the dimensions of a matrix or its bias their sides by its role.
func (s *Spec) takeSides() {
	of := sides[Role(strings.TrimSuffix(string(s.Role), "_bias"))]
	for i, d := range s.Dims {
		if side, ok := of[d.Kind]; ok {
			s.Dims[i].Side = side
		}
	}
}

// Layers is the number of layers.
func (s *Set) Layers() int {
	n := 0
	for _, p := range s.Params {
		if p.Role != "" {
			n = max(n, p.Layer+1)
		}
	}
	return n
}

// LayerDim is the dimension of a kind in a layer; Size 0 if there is none.
func (s *Set) LayerDim(layer int, kind Kind) Dim {
	return s.dims[s.kinds[layerKind{layer, kind}]]
}

// DimLayer is the layer of a dimension that has a kind; ok is false for others.
func (s *Set) DimLayer(name string) (layer int, ok bool) {
	layer, ok = s.layers[name]
	return layer, ok
}

// LayerParam is the parameter of a role in a layer (or Outside), nil if there is none.
func (s *Set) LayerParam(layer int, role Role) *Param { return s.roles[layerRole{layer, role}] }

type layerKind struct {
	layer int
	kind  Kind
}

type layerRole struct {
	layer int
	role  Role
}

// index notes where a parameter stands.
func (s *Set) index(p *Param) {
	if p.Role != "" {
		s.roles[layerRole{p.Layer, p.Role}] = p
	}
	for _, d := range p.Dims {
		if d.Kind != "" {
			s.kinds[layerKind{p.Layer, d.Kind}] = d.Name
			s.layers[d.Name] = p.Layer
		}
	}
}

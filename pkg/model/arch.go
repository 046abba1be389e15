package model

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/param"
)

// Arch is what a model computes: its dense sizes and the switches in which families
// differ. It is data that a family's config keys set; decoder.go builds from it, and
// export decides by it what a format holds.
type Arch struct {
	Layers, Hidden, FFN, Vocab, Positions int // L, E, F, V, longest sequence
	Heads, KVHeads, HeadDim               int // H, G, columns of a head

	Tied   bool // the head is the token table
	Image  *Image
	Causal bool // a token sees what stands before it, and itself

	// Norms.
	LayerNorm bool    // mean and bias; else RMS
	NoBias    bool    // LayerNorm without a bias
	PlusOne   bool    // gains are 1 + w
	Eps       float64 // added to the mean square
	PreNorm   bool    // norms before attention and the feed-forward network
	BareFirst bool    // but none before the attention of layer 0
	PostNorm  bool    // norms on their outputs, before the residual stream
	AddNorm   bool    // norms after that: norm(x + attention(x)), norm(x + ffn(x)); no last norm
	EmbedNorm bool    // norm of the embedding
	Parallel  bool    // both read the same residual stream: x + attention(x) + ffn(x)
	Scaled    bool    // their outputs are multiplied column by column, by LayerScale in a new model
	QKNorm    QKNorm  // of queries and keys, before the rotation

	// Attention.
	Bias    map[param.Role]bool // which of Q, K, V, O, Up (with Gate), Down and HeadDense have one
	Learned bool                // learned positions are added to the embedding
	Rope    []*Rope             // by layer; nil without rotation, here or in a layer
	Windows []int               // by layer: tokens that a token sees, itself included, of an encoder half of them on either side; 0 all. nil: no windows
	Scale   float64             // of scores
	SoftCap float64             // c·tanh(s/c) on scores; 0 none

	// Feed-forward network and head.
	Act      Activation
	Gated    bool    // act(gate)·up
	FinalCap float64 // on logits; 0 none

	LayerScale float64 // see Scaled

	// Multipliers; 0 is 1.
	EmbedScale, ResidualScale, LogitScale float64

	// Encoders.
	Types    int  // token types, of which each text is the first; 0 none
	Pooler   bool // a matrix for the first token's hidden state, kept but not used
	MaskedLM bool // the head: matrix, HeadAct, norm, then the token table with a bias
	HeadAct  Activation
	Pooling  Pooling // without it: how texts become vectors, as the files beside it say; "" is the mean

	InitRange float64 // standard deviation of new weights
	SmallInit bool    // those that write to the residual stream by a further 1/sqrt(2L)
}

// QKNorm says which columns the norm of queries and keys is over.
type QKNorm int

// The norms of queries and keys.
const (
	NoQKNorm   QKNorm = iota
	HeadQKNorm        // each head by itself; one gain for all heads
	AllQKNorm         // all heads together
)

// Activation is a feed-forward network's.
type Activation string

// The activations.
const (
	SiLU     Activation = "silu"
	GELU     Activation = "gelu"      // x·Φ(x)
	TanhGELU Activation = "gelu_tanh" // its approximation by tanh
)

// activation reads Hugging Face's name of an activation.
func activation(key, name string) (Activation, error) {
	switch name {
	case "silu", "swish":
		return SiLU, nil
	case "gelu":
		return GELU, nil
	case "gelu_new", "gelu_pytorch_tanh":
		return TanhGELU, nil
	}
	return "", fmt.Errorf("%s is %q, expected silu, gelu, gelu_new or gelu_pytorch_tanh", key, short(name))
}

// Rope is the rotation of a layer: theta^(-2j/Dims) radians a token for pair j, scaled.
type Rope struct {
	Theta   float64
	Dims    int // columns of a head that turn
	Scaling *ropeScale

	LongAfter int     // texts of more tokens turn by the long factors of Scaling; 0: there are none
	Gain      float64 // multiplies what turns; 0 is 1
}

// frequencies are those of the pairs j of the dense model, in radians a token, of long texts
// or of others.
func (r *Rope) frequencies(pairs []int, long bool) []float64 {
	out := make([]float64, len(pairs))
	for k, j := range pairs {
		if 2*j < r.Dims { // the others stand still
			out[k] = r.scale(math.Pow(r.Theta, -2*float64(j)/float64(r.Dims)), j, long)
		}
	}
	return out
}

// Stretched reports whether the frequencies are scaled.
func (r *Rope) Stretched() bool { return r.Scaling.kind() != "default" }

// Factors reports whether one factor a frequency says all of the scaling, but for the gain.
func (r *Rope) Factors() bool { return r.LongAfter == 0 }

// rope is the rotation of a layer, nil for none.
func (a *Arch) rope(layer int) *Rope {
	if a.Rope == nil {
		return nil
	}
	return a.Rope[layer]
}

// everywhere is one rotation for all layers.
func everywhere(layers int, r *Rope) []*Rope {
	out := make([]*Rope, layers)
	for i := range out {
		out[i] = r
	}
	return out
}

// Pair is the columns of a qk unit of a layer: 2 where they turn.
func (a *Arch) Pair(layer int) int {
	if a.rope(layer) != nil {
		return 2
	}
	return 1
}

// down is the name of the last matrix of the feed-forward network.
func (a *Arch) down() string {
	if a.Gated {
		return "down"
	}
	return "out"
}

// Repeat is R, the query heads of a K/V head.
func (a *Arch) Repeat() int { return a.Heads / a.KVHeads }

// dense is the widths of a layer before any pruning.
func (a *Arch) dense(layer int) Widths {
	return Widths{KV: a.KVHeads, QK: a.HeadDim / a.Pair(layer), VO: a.HeadDim, FFN: a.FFN}
}

// widths is every layer's widths: what kept says, or the dense ones.
func (a *Arch) widths(kept *Kept) []Widths {
	if kept != nil {
		return kept.Layers
	}
	w := make([]Widths, a.Layers)
	for i := range w {
		w[i] = a.dense(i)
	}
	return w
}

// square is the softmax's usual scale.
func square(headDim int) float64 { return 1 / math.Sqrt(float64(headDim)) }

// norm1 reports whether a layer has the norm of attention.
func (a *Arch) norm1(layer int) bool {
	return (a.PreNorm || a.AddNorm) && !(a.BareFirst && layer == 0)
}

// LongRope is longrope's two sets of factors and the length of text up to which the first one
// serves; ok is false for other scalings.
func (r *Rope) LongRope() (short, long []float64, after int, ok bool) {
	if r.Scaling.kind() != "longrope" {
		return nil, nil, 0, false
	}
	return r.Scaling.Short, r.Scaling.Long, r.LongAfter, true
}

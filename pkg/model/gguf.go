package model

import "github.com/ecospa/ecospa/pkg/param"

// GGUF is what llama.cpp has for a family: the name of its architecture and what
// that architecture can hold.
type GGUF struct {
	Arch      string         // general.architecture
	Name      string         // in general.name; "" is the family's
	PerLayer  string         // the architecture that sizes each layer by itself; "" for none
	Halves    bool           // a head's rows: first rows of all pairs before the second ones
	HeadDim   bool           // heads have a width of their own; else it is the residual width over the heads
	RopeFreqs bool           // it divides frequencies by rope_freqs.weight
	LongRope  bool           // or by LongFactors and ShortFactors, as the text is long or not
	Keys      map[string]any // further keys of the architecture: uint32, float32, bool, string
	Theta     float64        // base of the frequencies, where layers have several; 0 is theirs
	Windows   bool           // it has sliding windows as the family has them
	Scale     bool           // the key attention.scale says the scale of scores
	Factors   bool           // keys say the multipliers
	Refuse    string         // what of this model it cannot hold at all; "" for nothing
	SquareQ   bool           // its biases of q need heads times head width to be the residual width
	Act       Activation     // the only one that it computes; "" for what the family has
}

// The tensors of a GGUF file with longrope's two sets of factors.
const (
	ShortFactors = "rope_factors_short.weight"
	LongFactors  = "rope_factors_long.weight"
)

// Header is the keys of a GGUF file as a family reads them, without the
// architecture's name in front. A key that is missing or of another type fails the
// reading, not the call.
type Header interface {
	Int(key string) int
	IntOr(key string, or int) int // or where there is no such key
	Float(key string) float64
	Each(key string, layers int) []int // one number for all layers, or one for each
	Has(tensor string) bool
	Factors(tensor string, n int) []float64 // of frequencies, rope_freqs.weight mostly; nil where there is none
	FloatOr(key string, or float64) float64
	StringOr(key, or string) string
	Bool(key string) bool
	Fail(key, expected string)
	Failed() bool
}

// FromGGUF is the config.json that the keys of a GGUF file of an architecture amount
// to; ok is false for an architecture that no family has.
func FromGGUF(arch string, h Header) (config map[string]any, ok bool) {
	f, ok := ggufs[arch]
	if !ok {
		return nil, false
	}
	return f(h), true
}

var ggufs = map[string]func(Header) map[string]any{}

// Architectures lists the GGUF architectures that can be read.
func Architectures() []string {
	var out []string
	for a := range ggufs {
		out = append(out, a)
	}
	return sorted(out)
}

// ggufBias reports whether the first layer has the bias of a role.
func ggufBias(h Header, n *Table, role param.Role) bool {
	for _, t := range n.Tensors {
		if len(t.Roles) == 1 && t.Roles[0] == role.Bias() && t.GGUF != "" {
			return h.Has(inLayer(t.GGUF, 0))
		}
	}
	return false
}

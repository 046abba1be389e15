package coupled

import (
	"fmt"
	"strings"

	"github.com/ecospa/ecospa/pkg/param"
)

// Kind is what a unit is.
type Kind string

const (
	QK   Kind = "qk"   // a dimension of a query/key head; a rotation pair under RoPE
	VO   Kind = "vo"   // a dimension of a value head and its rows of the output projection
	FFN  Kind = "ffn"  // a hidden channel of the feed-forward network
	Head Kind = "head" // a key/value head with all its query heads

	Layer Kind = "layer" // a whole layer
)

// Kinds lists every kind in the order in which groups of a layer are listed.
func Kinds() []Kind { return []Kind{QK, VO, FFN, Head, Layer} }

// kindOf is the kind of the units of a dimension, "" for none.
func kindOf(k param.Kind) Kind {
	switch k {
	case param.KV:
		return Head
	case param.Layer:
		return Layer
	case param.QK, param.VO, param.FFN:
		return Kind(k)
	}
	return ""
}

// ParseKinds reads kinds by name. An unknown or repeated name is an error that
// lists the valid ones.
func ParseKinds(names []string) ([]Kind, error) {
	var out []Kind
	for _, n := range names {
		k := Kind(strings.TrimSpace(n))
		if !k.valid() {
			return nil, fmt.Errorf("kind %q is unknown, expected one of %s", n, joinKinds(Kinds()))
		}
		if hasKind(out, k) {
			return nil, fmt.Errorf("kind %q is given twice", n)
		}
		out = append(out, k)
	}
	return out, nil
}

func (k Kind) valid() bool { return hasKind(Kinds(), k) }

func hasKind(l []Kind, k Kind) bool {
	for _, x := range l {
		if x == k {
			return true
		}
	}
	return false
}

func joinKinds(l []Kind) string {
	names := make([]string, len(l))
	for i, k := range l {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

// ToKinds are kinds by name; Config.Validate says which are none.
func ToKinds(names []string) (kinds []Kind) {
	for _, n := range names {
		kinds = append(kinds, Kind(n))
	}
	return kinds
}

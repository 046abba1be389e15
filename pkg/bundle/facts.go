package bundle

import (
	"fmt"
	"strings"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Facts is what a model is, layer by layer.
type Facts struct {
	Family      string       `json:"family"`
	Params      int          `json:"params"`
	DenseParams int          `json:"dense_params"` // before any pruning
	Bytes       int64        `json:"bytes"`        // of the parameters in float32
	Context     int          `json:"context"`
	Vocab       int          `json:"vocab"`
	Layers      []LayerFacts `json:"layers"`

	disk  int64 // bytes
	dtype string
}

// LayerFacts is one layer of Facts.
type LayerFacts struct {
	Layer   int `json:"layer"`
	From    int `json:"from"` // its number in the dense model
	KVHeads int `json:"kv_heads"`
	QK      int `json:"qk"`     // units a head (rotation pairs under RoPE)
	VO      int `json:"vo"`     // units a head
	FFN     int `json:"ffn"`    // hidden channels
	Params  int `json:"params"` // all parameters of the layer
	// Kept is Params over what the layer had before pruning.
	Kept float64 `json:"kept"`
}

// Facts gathers what the model is; it reads no weights.
func (b *Bundle) Facts() (*Facts, error) {
	m, set := b.Model, b.Set
	dense, err := param.Layout(m.DenseSpecs())
	if err != nil {
		return nil, fault.BadInput(err)
	}
	r := &Facts{
		Family: m.Family(), Params: set.Count(), DenseParams: dense.Count(), Bytes: 4 * int64(set.Count()),
		Context: m.Context(), Vocab: m.Vocab(), disk: b.Bytes, dtype: strings.ToLower(b.DType),
	}
	was := model.LayerParams(dense)
	from := set.LayerOrigin()
	for i, n := range model.LayerParams(set) {
		w := model.Layer(set, i)
		r.Layers = append(r.Layers, LayerFacts{i, from[i], w.KV, w.QK, w.VO, w.FFN, n, float64(n) / float64(was[from[i]])})
	}
	return r, nil
}

// String is two lines of sums and a table of the layers.
func (r *Facts) String() string {
	t := units.NewTable("layer", "kv heads", "qk", "vo", "ffn", "parameters", "kept")
	for _, l := range r.Layers {
		t.Add(l.Layer, l.KVHeads, l.QK, l.VO, l.FFN, l.Params, fmt.Sprintf("%.2f", l.Kept))
	}
	return fmt.Sprintf("%s, %d parameters (%d before pruning, %.2f kept)\n%s on disk as %s, vocabulary %d, context %d\n\n%s",
		r.Family, r.Params, r.DenseParams, float64(r.Params)/float64(r.DenseParams), units.Bytes(r.disk), r.dtype, r.Vocab, r.Context, t)
}

package export

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/onnx"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

func init() {
	Register(Format{
		Name: "onnx", About: "a file for onnxruntime", DTypes: []string{"F32", "F16"},
		Plan:    planONNX,
		Check:   onnx.Check,
		Targets: func() []string { return []string{"onnx"} },
		Demands: func(string, model.Model) (Demands, error) { return Demands{AnyShape: true}, nil },
	})
}

// planONNX plans an ONNX file: it has every shape. The graph is that of the model's own
// forward pass, for any number of sequences of any length, or of images.
func planONNX(p *Plan, m model.Model, set *param.Set, o Options) error {
	probe := NewProbe(m)
	b := graph.NewBuilder(set, graph.BuildOptions{})
	batch := onnx.Dim{Name: "batch"}
	lower := graph.ONNXOptions{Name: "ecospa " + m.Family(), DType: o.DType, Output: answer(m, set)}
	if probe.Pixels == nil {
		lower.Tokens = len(probe.IDs)
		tokens := onnx.Dim{Name: graph.Sequence}
		m.Decode(b, 1, lower.Tokens, true)
		lower.Inputs = map[string]onnx.Value{"ids": {Name: "input_ids", Type: onnx.Int64, Dims: []onnx.Dim{batch, tokens}}}
		width := m.Vocab()
		if lower.Output == "hidden" {
			width = m.Arch().Hidden
		}
		lower.Dims = []onnx.Dim{batch, tokens, {Size: int64(width)}}
	} else {
		dims := []onnx.Dim{batch}
		for _, d := range probe.Shape[1:] {
			dims = append(dims, onnx.Dim{Size: int64(d)})
		}
		m.Decode(b, probe.Shape[0], m.Context(), true)
		lower.Inputs = map[string]onnx.Value{"pixels": {Name: "pixel_values", Type: onnx.Float, Dims: dims}}
		lower.Dims = []onnx.Dim{batch, {Size: int64(m.Vocab())}}
	}
	g, err := b.ONNX(lower)
	if err != nil {
		return err
	}
	p.onnxGraph(g, o)
	return nil
}

func (p *Plan) onnxGraph(g *onnx.Graph, o Options) {
	for _, t := range g.Initializers {
		if t.Ints == nil {
			p.Count(t.Stream, t.DType)
		}
	}
	p.Architecture = fmt.Sprintf("operator set %d", onnx.Opset)
	p.Loaders = []string{"onnxruntime and other runtimes of operator set 17"}
	p.File = g.Write
	if o.Embed == 0 {
		o.Embed = onnx.MaxEmbedded
	}
	if g.Bytes() > o.Embed {
		p.Data = g.WriteData
	}
}

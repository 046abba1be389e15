package export

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/onnx"
)

// onnx plans an ONNX file: it has every shape.
func (p *Plan) onnx(s *source, o Options) {
	g := s.onnxDecoder
	if s.images() {
		g = s.onnxClassifier
	}
	p.onnxGraph(g(o.DType), o)
}

func (p *Plan) onnxGraph(g *onnx.Graph, o Options) {
	for _, t := range g.Initializers {
		if t.Ints == nil {
			p.count(t.Stream, t.DType)
		}
	}
	p.Architecture = fmt.Sprintf("operator set %d", onnx.Opset)
	p.Loaders = []string{"onnxruntime and other runtimes of operator set 17"}
	p.write = g.Write
	if o.Embed == 0 {
		o.Embed = onnx.MaxEmbedded
	}
	if g.Bytes() > o.Embed {
		p.data = g.WriteData
	}
}

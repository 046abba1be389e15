package export

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

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

// RunONNX computes the logits of an ONNX file for the probe.
func RunONNX(path string, probe Probe) ([]float32, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return nil, err
	}
	folder, err := os.OpenRoot(filepath.Dir(path)) // no link leads out of it
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	beside := map[string]*os.File{}
	defer func() {
		for _, f := range beside {
			f.Close() // only read
		}
	}()
	f, err := onnx.Read(in, st.Size(), func(location string) (io.ReaderAt, int64, error) {
		f := beside[location]
		if f == nil {
			var err error
			if f, err = folder.Open(location); err != nil {
				return nil, 0, err
			}
			beside[location] = f
		}
		st, err := f.Stat()
		if err != nil {
			return nil, 0, err
		}
		return f, st.Size(), nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	x := &onnx.Array{Shape: probe.Shape, F: probe.Pixels}
	for _, id := range probe.IDs {
		x.I = append(x.I, int64(id))
	}
	if len(f.Inputs) != 1 {
		return nil, fmt.Errorf("%w: %s: %d inputs, expected 1", onnx.ErrFormat, path, len(f.Inputs))
	}
	out, err := f.Run(map[string]*onnx.Array{f.Inputs[0].Name: x})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if out["logits"] == nil {
		return nil, fmt.Errorf("%s: it has no output logits", path)
	}
	return out["logits"].F, nil
}

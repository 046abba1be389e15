package export

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/kernel"
)

// Write writes the file or directory, completely or not at all. What has the name
// already makes way. Weights that an ONNX file does not hold itself lie in
// PATH.data, which is written first.
func (p *Plan) Write(path string) error {
	if p.Files != nil {
		p.Bytes = checkpoint.Total(p.Files)
		return checkpoint.ReplaceDir(path, p.Files)
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return fmt.Errorf("write %s: it is a directory, format %s is one file", path, p.Format)
	}
	written := []string{path}
	data := ""
	if p.Data != nil {
		data = filepath.Base(path) + ".data"
		written = append(written, path+".data")
		if err := checkpoint.WriteStream(path+".data", p.Data); err != nil {
			return err
		}
	}
	if err := checkpoint.WriteStream(path, func(w io.Writer) error { return p.File(w, data) }); err != nil {
		return err
	}
	p.Bytes = 0
	for _, name := range written {
		st, err := os.Stat(name)
		if err != nil {
			return err
		}
		p.Bytes += st.Size()
	}
	return nil
}

// Check reads back what Write wrote and computes its logits for the probe; nil for a
// format that this program does not run, of which only the structure is checked.
func (p *Plan) Check(path string, pool *kernel.Pool, probe Probe) ([]float32, error) {
	f := formats[p.Format]
	if f.Read == nil {
		return nil, f.Check(path)
	}
	m, set, err := f.Read(path)
	if err != nil {
		return nil, err
	}
	defer set.Weights.Close()
	return Logits(m, set, pool, probe)
}

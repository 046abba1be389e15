package export

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/ggufmodel"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
)

// Write writes the file or directory, completely or not at all. What has the name
// already makes way. Weights that an ONNX file does not hold itself lie in
// PATH.data, which is written first.
func (p *Plan) Write(path string) error {
	if p.files != nil {
		p.Bytes = checkpoint.Total(p.files)
		return checkpoint.ReplaceDir(path, p.files)
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return fmt.Errorf("write %s: it is a directory, format %s is one file", path, p.Format)
	}
	written := []string{path}
	data := ""
	if p.data != nil {
		data = filepath.Base(path) + ".data"
		written = append(written, path+".data")
		if err := checkpoint.WriteStream(path+".data", p.data); err != nil {
			return err
		}
	}
	if err := checkpoint.WriteStream(path, func(w io.Writer) error { return p.write(w, data) }); err != nil {
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

// ErrNotRead is returned for a format that this program writes and does not read.
var ErrNotRead = errors.New("export: this format is written but not read")

// Check reads back what Write wrote and computes its logits for the probe, or
// gives ErrNotRead.
func (p *Plan) Check(path string, pool *kernel.Pool, probe Probe) ([]float32, error) {
	switch p.Format {
	case "onnx":
		return nil, ErrNotRead
	case "hf":
		root, err := os.OpenRoot(path)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		m, set, err := model.Read(root)
		if err != nil {
			return nil, err
		}
		defer set.Weights.Close()
		return Logits(m, set, pool, probe)
	}
	m, set, _, err := ggufmodel.Read(path)
	if err != nil {
		return nil, err
	}
	defer set.Weights.Close()
	return Logits(m, set, pool, probe)
}

package export

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// Write writes the file or directory, completely or not at all. What has the name
// already makes way. Weights that an ONNX file does not hold itself lie in
// PATH.data, which is written first.
func (p *Plan) Write(path string) error {
	c := &counter{plan: p, of: p.size()}
	if p.Files != nil {
		p.Bytes = checkpoint.Total(p.Files)
		files := slices.Clone(p.Files)
		for i, f := range p.Files {
			files[i].Write = func(w io.Writer) error { return f.Write(c.on(w)) }
		}
		return checkpoint.ReplaceDir(path, files)
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return fmt.Errorf("write %s: it is a directory, format %s is one file", path, p.Format)
	}
	written := []string{path}
	data := ""
	if p.Data != nil {
		data = filepath.Base(path) + ".data"
		written = append(written, path+".data")
		if err := checkpoint.WriteStream(path+".data", func(w io.Writer) error { return p.Data(c.on(w)) }); err != nil {
			return err
		}
	}
	if err := checkpoint.WriteStream(path, func(w io.Writer) error { return p.File(c.on(w), data) }); err != nil {
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

// size is about how many bytes Write writes.
func (p *Plan) size() int64 {
	if p.Files != nil {
		return checkpoint.Total(p.Files)
	}
	bits := map[string]int64{"F32": 32, "Q8_0": 9}[p.DType]
	if bits == 0 {
		bits = 16
	}
	return p.Stored * bits / 8
}

func (p *Plan) tell(phase string, done, of int64) {
	if p.Progress != nil {
		p.Progress(phase, done, of)
	}
}

// counter counts the bytes that a plan has written.
type counter struct {
	plan     *Plan
	to       io.Writer
	done, of int64
}

// on counts what is written to w.
func (c *counter) on(w io.Writer) io.Writer {
	c.to = w
	return c
}

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	n, err := c.to.Write(b)
	c.done += int64(n)
	c.plan.tell("writing", c.done, max(c.done, c.of))
	return n, err
}

// Check reads back what Write wrote and computes its logits for the probe; nil for a
// format that this program does not run, of which only the structure is checked.
func (p *Plan) Check(path string, pool *kernel.Pool, probe Probe) ([]float32, error) {
	f := formats[p.Format]
	if f.Read == nil {
		return nil, f.Check(path)
	}
	t := param.F32
	if p.DType == "BF16" {
		t = param.BF16
	}
	m, set, err := f.Read(path, t)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	return Logits(m, set, pool, probe)
}

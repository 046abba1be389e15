package onnx

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Check reports what is wrong with the structure of a file of this package: a length that
// does not add up, weights of another size than their shape, external data that are not
// there, a node or an output that uses a value which nothing gives. It computes nothing.
func Check(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	c := &checker{dir: filepath.Dir(path), known: map[string]bool{}}
	graphs := 0
	err = message{f, 0, st.Size()}.each(func(n protowire.Number, _ uint64, m message) error {
		if n != modelGraph {
			return nil
		}
		graphs++
		return m.each(c.graphField)
	})
	if err == nil && graphs != 1 {
		err = fmt.Errorf("it has %d graphs, expected one", graphs)
	}
	if err == nil {
		err = c.wired()
	}
	if err != nil {
		return fmt.Errorf("%s is no valid ONNX file: %w", path, err)
	}
	return nil
}

// checker collects what a graph consists of.
type checker struct {
	dir     string          // where external data lie
	known   map[string]bool // inputs and initializers
	nodes   []link
	outputs []string
}

// link is a node's values.
type link struct {
	op      string
	in, out []string
}

func (c *checker) graphField(n protowire.Number, _ uint64, m message) error {
	switch n {
	case graphNode:
		l := link{}
		err := m.each(func(n protowire.Number, _ uint64, m message) (err error) {
			switch n {
			case nodeIn:
				l.in, err = m.append(l.in)
			case nodeOut:
				l.out, err = m.append(l.out)
			case nodeOp:
				l.op, err = m.text()
			}
			return err
		})
		c.nodes = append(c.nodes, l)
		return err
	case graphInput, graphOutput:
		return m.each(func(k protowire.Number, _ uint64, m message) error {
			if k != valueName {
				return nil
			}
			name, err := m.text()
			if n == graphInput {
				c.known[name] = true
			} else {
				c.outputs = append(c.outputs, name)
			}
			return err
		})
	case graphInit:
		return c.initializer(m)
	}
	return nil
}

// initializer compares the length of the data with the shape.
func (c *checker) initializer(m message) error {
	name, elements, size, data := "", int64(1), int64(0), int64(-1)
	outside := map[string]string{}
	err := m.each(func(n protowire.Number, x uint64, m message) (err error) {
		switch n {
		case tensorDims:
			if x > 1<<40 || elements > 1<<40/max(int64(x), 1) {
				return fmt.Errorf("dimension %d is too large", x)
			}
			elements *= int64(x)
		case tensorType:
			size = map[uint64]int64{Float: 4, Float16: 2, Int64: 8}[x]
		case tensorName:
			name, err = m.text()
		case tensorRaw:
			data = m.end - m.at
		case tensorExternal:
			var pair []string
			err = m.each(func(_ protowire.Number, _ uint64, m message) (err error) { pair, err = m.append(pair); return })
			if len(pair) == 2 {
				outside[pair[0]] = pair[1]
			}
		}
		return err
	})
	if err == nil && len(outside) > 0 {
		data, err = c.external(outside)
	}
	if err != nil {
		return fmt.Errorf("initializer %q: %w", name, err)
	}
	if size == 0 || data != elements*size {
		return fmt.Errorf("initializer %q has %d bytes, expected %d elements of %d bytes", name, data, elements, size)
	}
	c.known[name] = true
	return nil
}

// external is the length of data in the file beside, which must hold them.
func (c *checker) external(at map[string]string) (int64, error) {
	if !filepath.IsLocal(at["location"]) {
		return 0, fmt.Errorf("its data are in %q, expected a file beside it", at["location"])
	}
	st, err := os.Stat(filepath.Join(c.dir, at["location"]))
	if err != nil {
		return 0, err
	}
	offset, err1 := strconv.ParseInt(at["offset"], 10, 64)
	length, err2 := strconv.ParseInt(at["length"], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	if offset < 0 || length < 0 || offset > st.Size()-length {
		return 0, fmt.Errorf("%s has %d bytes, expected %d from %d on", at["location"], st.Size(), length, offset)
	}
	return length, nil
}

// wired follows the values from the inputs to the outputs.
func (c *checker) wired() error {
	for _, n := range c.nodes {
		for _, in := range n.in {
			if in != "" && !c.known[in] { // an empty name is an operand left out
				return fmt.Errorf("node %s uses %q, which nothing before it gives", n.op, in)
			}
		}
		for _, out := range n.out {
			c.known[out] = true
		}
	}
	if len(c.outputs) == 0 {
		return errors.New("it has no output")
	}
	for _, out := range c.outputs {
		if !c.known[out] {
			return fmt.Errorf("nothing gives the output %q", out)
		}
	}
	return nil
}

// message is a protobuf message in a file, from at to end.
type message struct {
	r       io.ReaderAt
	at, end int64
}

// each visits the fields: a number has x, bytes have m. Nothing is read of the contents.
func (m message) each(visit func(n protowire.Number, x uint64, m message) error) error {
	var head [2 * 10]byte // of a tag and a length
	for m.at < m.end {
		b := head[:min(int64(len(head)), m.end-m.at)]
		if _, err := m.r.ReadAt(b, m.at); err != nil {
			return err
		}
		n, kind, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return protowire.ParseError(tag)
		}
		var x uint64
		used, inner := 0, message{r: m.r}
		switch kind {
		case protowire.VarintType:
			x, used = protowire.ConsumeVarint(b[tag:])
		case protowire.Fixed32Type:
			used = 4
		case protowire.BytesType:
			x, used = protowire.ConsumeVarint(b[tag:])
			inner.at = m.at + int64(tag+used)
			if used >= 0 && x > uint64(m.end-inner.at) {
				return fmt.Errorf("a field of %d bytes at byte %d ends after its message", x, inner.at)
			}
			inner.end = inner.at + int64(x)
		default:
			return fmt.Errorf("wire type %d at byte %d", kind, m.at)
		}
		if used < 0 {
			return protowire.ParseError(used)
		}
		if err := visit(n, x, inner); err != nil {
			return err
		}
		if m.at += int64(tag + used); inner.end > 0 {
			m.at = inner.end
		}
	}
	return nil
}

// text is the message as a name, of at most 4 KiB.
func (m message) text() (string, error) {
	if m.end-m.at > 4096 {
		return "", fmt.Errorf("a name has %d bytes", m.end-m.at)
	}
	b := make([]byte, m.end-m.at)
	if _, err := m.r.ReadAt(b, m.at); err != nil && err != io.EOF {
		return "", err
	}
	return string(b), nil
}

func (m message) append(list []string) ([]string, error) {
	s, err := m.text()
	return append(list, s), err
}

package onnxtest

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ecospa/ecospa/internal/onnx"
)

// ErrFormat is returned when a file is not an ONNX model that this package reads.
var ErrFormat = errors.New("onnxtest: bad file")

const (
	maxNodes   = 1 << 18
	maxValues  = 1 << 18 // inputs, outputs, initializers
	maxMessage = 1 << 22 // bytes of a node, an input, the small part of a tensor
)

// File is a model whose weights stay where they are.
type File struct {
	Nodes   []onnx.Node
	Inputs  []onnx.Value
	Outputs []onnx.Value
	weights map[string]weight
	r       io.ReaderAt
	open    func(location string) (io.ReaderAt, int64, error)
}

// weight is an initializer's place in a file.
type weight struct {
	shape    []int
	kind     int32
	location string // "" is the model's own file
	offset   int64
	length   int64
}

// Read reads a model of size bytes. open opens the external data of a location, a
// plain file name in the model's directory; without it there may be none.
func Read(r io.ReaderAt, size int64, open func(location string) (io.ReaderAt, int64, error)) (*File, error) {
	f := &File{weights: map[string]weight{}, r: r, open: open}
	version := uint64(0)
	s := &stream{r: r, end: size}
	graphs := 0
	for s.more() {
		switch s.field() {
		case modelGraph:
			graphs++
			f.graph(s.inner())
		case modelOpset:
			each(s, s.small(), func(n protowire.Number, x uint64, _ []byte) {
				if n == opsetVersion {
					version = x
				}
			})
		default:
			s.skip()
		}
	}
	switch {
	case s.err != nil:
		return nil, fmt.Errorf("%w: %w", ErrFormat, s.err)
	case graphs != 1:
		return nil, fmt.Errorf("%w: %d graphs, expected 1", ErrFormat, graphs)
	case version != onnx.Opset:
		return nil, fmt.Errorf("%w: operator set %d, expected %d", ErrFormat, version, onnx.Opset)
	}
	if err := f.check(size); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return f, nil
}

// check looks at the claims about weights.
func (f *File) check(size int64) error {
	for name, w := range f.weights {
		width := map[int32]int64{onnx.Float: 4, onnx.Float16: 2, onnx.Int64: 8}[w.kind]
		if width == 0 {
			return fmt.Errorf("initializer %.80q has type %d, expected float32 (1), int64 (7) or float16 (10)", name, w.kind)
		}
		want, of := width, size
		for _, d := range w.shape {
			if d < 0 || d > 0 && want > math.MaxInt64/int64(d) {
				return fmt.Errorf("initializer %.80q has shape %v", name, w.shape)
			}
			want *= int64(d)
		}
		if w.location != "" {
			if f.open == nil || w.location != filepath.Base(w.location) || strings.ContainsAny(w.location, `/\`) || w.location == ".." {
				return fmt.Errorf("initializer %.80q lies in %.80q, expected a file name in the model's directory", name, w.location)
			}
			var err error
			if _, of, err = f.open(w.location); err != nil {
				return err
			}
		}
		if w.length != want || w.offset < 0 || w.offset > of-want {
			return fmt.Errorf("initializer %.80q has shape %v and %d bytes at %d of a file of %d, expected %d bytes", name, w.shape, w.length, w.offset, of, want)
		}
	}
	return nil
}

func (f *File) graph(s *stream) {
	for s.more() {
		switch s.field() {
		case graphNode:
			f.Nodes = append(f.Nodes, node(s, s.small()))
			s.limit("nodes", len(f.Nodes), maxNodes)
		case graphInput:
			f.Inputs = append(f.Inputs, value(s, s.small()))
			s.limit("inputs", len(f.Inputs), maxValues)
		case graphOutput:
			f.Outputs = append(f.Outputs, value(s, s.small()))
			s.limit("outputs", len(f.Outputs), maxValues)
		case graphInit:
			name, w := initializer(s.inner())
			if _, ok := f.weights[name]; ok {
				s.fail("initializer %.80q twice", name)
			}
			f.weights[name] = w
			s.limit("initializers", len(f.weights), maxValues)
		default:
			s.skip()
		}
	}
	s.up()
}

// initializer notes where the data are, without reading them.
func initializer(s *stream) (name string, w weight) {
	w.length = -1
	for s.more() {
		switch s.field() {
		case tensorDims:
			s.dims(&w.shape)
		case tensorType:
			w.kind = int32(s.varint())
		case tensorName:
			name = string(s.small())
		case tensorRaw:
			inner := s.inner()
			w.offset, w.length = inner.at, inner.end-inner.at
			inner.at = inner.end
			inner.up()
		case tensorExternal:
			external(s, &w)
		default:
			s.skip()
		}
		s.limit("dimensions of a tensor", len(w.shape), 16)
	}
	s.up()
	return name, w
}

// external reads one entry of external_data.
func external(s *stream, w *weight) {
	var key, val string
	each(s, s.small(), func(n protowire.Number, _ uint64, b []byte) {
		switch n {
		case pairKey:
			key = string(b)
		case pairValue:
			val = string(b)
		}
	})
	number := func() int64 {
		x, err := strconv.ParseInt(val, 10, 64)
		if err != nil || x < 0 {
			s.fail("external data: %.40q is %.40q, expected a number", key, val)
		}
		return x
	}
	switch key {
	case "location":
		w.location = val
	case "offset":
		w.offset = number()
	case "length":
		w.length = number()
	}
}

func node(s *stream, text []byte) (n onnx.Node) {
	each(s, text, func(f protowire.Number, _ uint64, b []byte) {
		switch f {
		case nodeIn:
			n.In = append(n.In, string(b))
		case nodeOut:
			n.Out = append(n.Out, string(b))
		case nodeOp:
			n.Op = string(b)
		case nodeAttr:
			n.Attributes = append(n.Attributes, attribute(s, b))
		}
	})
	return n
}

func attribute(s *stream, text []byte) (a onnx.Attribute) {
	var ints []int64
	var f float32
	var i int64
	var kind uint64
	each(s, text, func(n protowire.Number, x uint64, b []byte) {
		switch n {
		case attrName:
			a.Name = string(b)
		case attrF:
			f = math.Float32frombits(uint32(x))
		case attrI:
			i = int64(x)
		case attrType:
			kind = x
		case attrInts:
			if b == nil {
				ints = append(ints, int64(x))
			}
			for len(b) > 0 {
				v, n := protowire.ConsumeVarint(b)
				if n < 0 {
					s.fail("attribute %.40q: %w", a.Name, protowire.ParseError(n))
					return
				}
				ints, b = append(ints, int64(v)), b[n:]
			}
		}
	})
	switch kind {
	case uint64(attrFloat):
		a.Value = f
	case uint64(attrInt):
		a.Value = i
	case uint64(attrIntList):
		a.Value = ints
	}
	return a
}

func value(s *stream, text []byte) (v onnx.Value) {
	each(s, text, func(n protowire.Number, _ uint64, b []byte) {
		switch n {
		case valueName:
			v.Name = string(b)
		case valueType:
			within(s, b, typeTensor, func(b []byte) {
				each(s, b, func(n protowire.Number, x uint64, b []byte) {
					if n == tensorElem {
						v.Type = int32(x)
					}
					if n == tensorShape {
						within(s, b, shapeDim, func(b []byte) {
							var d onnx.Dim
							each(s, b, func(n protowire.Number, x uint64, b []byte) {
								if n == dimValue {
									d.Size = int64(x)
								}
								if n == dimParam {
									d.Name = string(b)
								}
							})
							v.Dims = append(v.Dims, d)
						})
					}
				})
			})
		}
	})
	return v
}

// within hands out the messages of one field.
func within(s *stream, text []byte, field protowire.Number, use func([]byte)) {
	each(s, text, func(n protowire.Number, _ uint64, b []byte) {
		if n == field {
			use(b)
		}
	})
}

// each hands out the fields of a message: numbers in x, the others in b, which is
// not nil for them.
func each(s *stream, text []byte, use func(n protowire.Number, x uint64, b []byte)) {
	for len(text) > 0 && s.err == nil {
		n, kind, size := protowire.ConsumeTag(text)
		if size < 0 {
			s.fail("%w", protowire.ParseError(size))
			return
		}
		text = text[size:]
		var x uint64
		var b []byte
		switch kind {
		case protowire.VarintType:
			x, size = protowire.ConsumeVarint(text)
		case protowire.Fixed32Type:
			var y uint32
			y, size = protowire.ConsumeFixed32(text)
			x = uint64(y)
		case protowire.BytesType:
			b, size = protowire.ConsumeBytes(text)
			if b == nil {
				b = []byte{}
			}
		default:
			size = protowire.ConsumeFieldValue(n, kind, text)
		}
		if size < 0 {
			s.fail("%w", protowire.ParseError(size))
			return
		}
		text = text[size:]
		use(n, x, b)
	}
}

package onnx

import (
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers of the fields that are used, by message, from onnx.proto3.
const (
	modelIR, modelProducer, modelGraph, modelOpset                       = 1, 2, 7, 8
	graphNode, graphName, graphInit, graphInput, graphOutput             = 1, 2, 5, 11, 12
	nodeIn, nodeOut, nodeName, nodeOp, nodeAttr                          = 1, 2, 3, 4, 5
	attrName, attrF, attrI, attrInts, attrType                           = 1, 2, 3, 8, 20
	tensorDims, tensorType, tensorName                                   = 1, 2, 8
	tensorRaw, tensorExternal, tensorLocation                            = 9, 13, 14
	valueName, valueType, typeTensor, tensorElem, tensorShape            = 1, 2, 1, 1, 2
	shapeDim, dimValue, dimParam, pairKey, pairValue, opsetVersion       = 1, 1, 2, 1, 2, 2
	irVersion                                                            = 8 // goes with operator set 17
	attrFloat, attrInt, attrIntList                                int64 = 1, 2, 7
)

// MaxEmbedded is the bytes of weights up to which a file holds them itself: a
// protobuf message ends at 2 GiB.
const MaxEmbedded = 1<<31 - 1<<24

// typeOf is the element type of weights.
var typeOf = map[string]uint64{"F32": Float, "F16": Float16}

// bytes is the length of an initializer's data.
func (t Initializer) bytes() int64 {
	switch {
	case t.Ints != nil:
		return 8 * int64(len(t.Ints))
	case t.DType == "F16":
		return 2 * int64(t.Elements())
	}
	return 4 * int64(t.Elements())
}

// Bytes is the length of the data of all initializers.
func (g *Graph) Bytes() int64 {
	n := int64(0)
	for _, t := range g.Initializers {
		n += t.bytes()
	}
	return n
}

// align is what the offsets of external data are multiples of: a page, so that
// readers may map them.
const align = 4096

// WriteData writes the data of the initializers to a file of their own.
func (g *Graph) WriteData(w io.Writer) error {
	for _, t := range g.Initializers {
		if t.Ints != nil {
			continue
		}
		if err := t.Write(w, t.DType); err != nil {
			return err
		}
		if _, err := w.Write(make([]byte, (align-t.bytes()%align)%align)); err != nil {
			return err
		}
	}
	return nil
}

// Write writes the model. With a location the weights are in the file of that
// name beside it, which WriteData writes; "" embeds them.
func (g *Graph) Write(w io.Writer, location string) error {
	if n := g.Bytes(); location == "" && n > MaxEmbedded {
		return fmt.Errorf("onnx: %d bytes of weights, a file holds %d; the others need external data", n, MaxEmbedded)
	}
	nodes := protowire.AppendTag(nil, graphName, protowire.BytesType)
	nodes = protowire.AppendString(nodes, g.Name)
	for i, n := range g.Nodes {
		text, err := n.encode(i)
		if err != nil {
			return err
		}
		nodes = appendMessage(nodes, graphNode, text)
	}
	for _, v := range g.Inputs {
		nodes = appendMessage(nodes, graphInput, v.encode())
	}
	for _, v := range g.Outputs {
		nodes = appendMessage(nodes, graphOutput, v.encode())
	}
	// Lengths come before contents, so all heads are made first.
	heads := make([][]byte, len(g.Initializers))
	total, offset := int64(len(nodes)), int64(0)
	for i, t := range g.Initializers {
		if t.Ints == nil && typeOf[t.DType] == 0 {
			return fmt.Errorf("onnx: initializer %s has type %q, expected F32 or F16", t.Name, t.DType)
		}
		var body int64
		heads[i], body = t.head(location, offset)
		total += int64(len(heads[i])) + body
		if t.Ints == nil {
			offset += (t.bytes() + align - 1) / align * align
		}
	}
	out := appendVarint(nil, modelIR, irVersion)
	out = protowire.AppendTag(out, modelProducer, protowire.BytesType)
	out = protowire.AppendString(out, "ecospa")
	out = appendMessage(out, modelOpset, appendVarint(nil, opsetVersion, Opset))
	out = protowire.AppendTag(out, modelGraph, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(total))
	if _, err := w.Write(append(out, nodes...)); err != nil {
		return err
	}
	for i, t := range g.Initializers {
		if _, err := w.Write(heads[i]); err != nil {
			return err
		}
		if t.Ints == nil && location == "" {
			if err := t.Write(w, t.DType); err != nil {
				return err
			}
		}
	}
	return nil
}

// head is the initializer's field of the graph up to its raw data, and the
// length of those, which come last.
func (t Initializer) head(location string, offset int64) ([]byte, int64) {
	var m []byte
	for _, d := range t.Shape {
		m = appendVarint(m, tensorDims, uint64(d))
	}
	m = protowire.AppendTag(m, tensorName, protowire.BytesType)
	m = protowire.AppendString(m, t.Name)
	body := t.bytes()
	switch {
	case t.Ints != nil:
		m = appendVarint(m, tensorType, Int64)
		var raw []byte
		for _, x := range t.Ints {
			raw = protowire.AppendFixed64(raw, uint64(x))
		}
		return appendMessage(nil, graphInit, appendMessage(m, tensorRaw, raw)), 0
	case location != "":
		m = appendVarint(m, tensorType, typeOf[t.DType])
		for _, kv := range [][2]string{{"location", location}, {"offset", fmt.Sprint(offset)}, {"length", fmt.Sprint(body)}} {
			pair := protowire.AppendString(protowire.AppendTag(nil, pairKey, protowire.BytesType), kv[0])
			pair = protowire.AppendString(protowire.AppendTag(pair, pairValue, protowire.BytesType), kv[1])
			m = appendMessage(m, tensorExternal, pair)
		}
		return appendMessage(nil, graphInit, appendVarint(m, tensorLocation, 1)), 0
	}
	m = appendVarint(m, tensorType, typeOf[t.DType])
	m = protowire.AppendTag(m, tensorRaw, protowire.BytesType)
	m = protowire.AppendVarint(m, uint64(body))
	head := protowire.AppendTag(nil, graphInit, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(int64(len(m))+body))
	return append(head, m...), body
}

func (n Node) encode(i int) ([]byte, error) {
	var m []byte
	for _, s := range n.In {
		m = protowire.AppendString(protowire.AppendTag(m, nodeIn, protowire.BytesType), s)
	}
	for _, s := range n.Out {
		m = protowire.AppendString(protowire.AppendTag(m, nodeOut, protowire.BytesType), s)
	}
	m = protowire.AppendString(protowire.AppendTag(m, nodeName, protowire.BytesType), fmt.Sprintf("%s_%d", n.Op, i))
	m = protowire.AppendString(protowire.AppendTag(m, nodeOp, protowire.BytesType), n.Op)
	for _, a := range n.Attributes {
		t := protowire.AppendString(protowire.AppendTag(nil, attrName, protowire.BytesType), a.Name)
		switch v := a.Value.(type) {
		case float32:
			t = appendVarint(appendFloat(t, attrF, v), attrType, uint64(attrFloat))
		case int64:
			t = appendVarint(appendVarint(t, attrI, uint64(v)), attrType, uint64(attrInt))
		case []int64:
			for _, x := range v {
				t = appendVarint(t, attrInts, uint64(x))
			}
			t = appendVarint(t, attrType, uint64(attrIntList))
		default:
			return nil, fmt.Errorf("onnx: attribute %s of %s is a %T", a.Name, n.Op, a.Value)
		}
		m = appendMessage(m, nodeAttr, t)
	}
	return m, nil
}

func (v Value) encode() []byte {
	var shape []byte
	for _, d := range v.Dims {
		if d.Name != "" {
			shape = appendMessage(shape, shapeDim, protowire.AppendString(protowire.AppendTag(nil, dimParam, protowire.BytesType), d.Name))
		} else {
			shape = appendMessage(shape, shapeDim, appendVarint(nil, dimValue, uint64(d.Size)))
		}
	}
	tensor := appendMessage(appendVarint(nil, tensorElem, uint64(v.Type)), tensorShape, shape)
	m := protowire.AppendString(protowire.AppendTag(nil, valueName, protowire.BytesType), v.Name)
	return appendMessage(m, valueType, appendMessage(nil, typeTensor, tensor))
}

func appendVarint(b []byte, field protowire.Number, x uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), x)
}

func appendMessage(b []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), m)
}
func appendFloat(b []byte, field protowire.Number, x float32) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(b, field, protowire.Fixed32Type), math.Float32bits(x))
}

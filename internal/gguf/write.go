package gguf

import (
	"fmt"
	"io"
	"math"

	"github.com/ecospa/ecospa/pkg/checkpoint"
)

const (
	magic     = "GGUF"
	version   = 3
	alignment = 32 // of the data and of every tensor, bytes
)

// KV is a key with its value: a uint32, int32, float32, bool or string, or a
// slice of one of them.
type KV struct {
	Key   string
	Value any
}

// Tensor is a tensor to be written as the type DType: F32, F16, BF16 or Q8_0.
// Rows of Q8_0 have a multiple of 32 elements.
type Tensor struct {
	checkpoint.Stream
	DType string
}

// The value types of the format.
const (
	typeUint32  = 4
	typeInt32   = 5
	typeFloat32 = 6
	typeBool    = 7
	typeString  = 8
	typeArray   = 9
)

// Size is the bytes that Write writes.
func Size(kvs []KV, tensors []Tensor) (int64, error) {
	head, data, err := header(kvs, tensors)
	return int64(len(head)) + data, err
}

// Write writes a file, a stretch of rows at a time.
func Write(w io.Writer, kvs []KV, tensors []Tensor) error {
	head, _, err := header(kvs, tensors)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	var raw []byte
	for _, t := range tensors {
		d, done := dtypes[t.DType], int64(0)
		err := t.Each(func(values []float32) error {
			n := int(d.size(int64(len(values))))
			if cap(raw) < n {
				raw = make([]byte, n)
			}
			if bad := encode(raw[:n], values, t.DType); bad >= 0 {
				return fmt.Errorf("gguf: element %d of %s is %g, which %s cannot hold as a finite number", done+int64(bad), t.Name, values[bad], t.DType)
			}
			done += int64(len(values))
			_, err := w.Write(raw[:n])
			return err
		})
		if err != nil {
			return err
		}
		if _, err := w.Write(make([]byte, padding(d.size(done)))); err != nil {
			return err
		}
	}
	return nil
}

// padding is the bytes from n to the next multiple of the alignment.
func padding(n int64) int64 { return (alignment - n%alignment) % alignment }

// header is everything before the data, padded, and the bytes of the data.
func header(kvs []KV, tensors []Tensor) (head []byte, data int64, err error) {
	head = append(head, magic...)
	head = le.AppendUint32(head, version)
	head = le.AppendUint64(head, uint64(len(tensors)))
	head = le.AppendUint64(head, uint64(len(kvs)))
	for _, kv := range kvs {
		head = appendString(head, kv.Key)
		if head, err = appendValue(head, kv.Value); err != nil {
			return nil, 0, fmt.Errorf("gguf: key %s: %w", kv.Key, err)
		}
	}
	for _, t := range tensors {
		d, ok := dtypes[t.DType]
		if !ok {
			return nil, 0, fmt.Errorf("gguf: tensor %s has type %q, expected F32, F16, BF16 or Q8_0", t.Name, t.DType)
		}
		if len(t.Shape) < 1 || len(t.Shape) > 4 || t.Elements() < 1 || t.Shape[len(t.Shape)-1]%d.elements != 0 {
			return nil, 0, fmt.Errorf("gguf: tensor %s has shape %v, expected 1 to 4 dimensions, rows a multiple of %d elements for %s", t.Name, t.Shape, d.elements, t.DType)
		}
		head = appendString(head, t.Name)
		head = le.AppendUint32(head, uint32(len(t.Shape)))
		for i := len(t.Shape) - 1; i >= 0; i-- {
			head = le.AppendUint64(head, uint64(t.Shape[i]))
		}
		head = le.AppendUint32(head, d.id)
		head = le.AppendUint64(head, uint64(data))
		n := d.size(int64(t.Elements()))
		data += n + padding(n)
	}
	return append(head, make([]byte, padding(int64(len(head))))...), data, nil
}

func appendString(b []byte, s string) []byte {
	return append(le.AppendUint64(b, uint64(len(s))), s...)
}

func appendValue(b []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case uint32:
		return le.AppendUint32(le.AppendUint32(b, typeUint32), v), nil
	case int32:
		return le.AppendUint32(le.AppendUint32(b, typeInt32), uint32(v)), nil
	case float32:
		return le.AppendUint32(le.AppendUint32(b, typeFloat32), math.Float32bits(v)), nil
	case bool:
		b = le.AppendUint32(b, typeBool)
		if v {
			return append(b, 1), nil
		}
		return append(b, 0), nil
	case string:
		return appendString(le.AppendUint32(b, typeString), v), nil
	case []uint32:
		b = arrayHead(b, typeUint32, len(v))
		for _, x := range v {
			b = le.AppendUint32(b, x)
		}
		return b, nil
	case []int32:
		b = arrayHead(b, typeInt32, len(v))
		for _, x := range v {
			b = le.AppendUint32(b, uint32(x))
		}
		return b, nil
	case []float32:
		b = arrayHead(b, typeFloat32, len(v))
		for _, x := range v {
			b = le.AppendUint32(b, math.Float32bits(x))
		}
		return b, nil
	case []byte:
		return append(arrayHead(b, 0, len(v)), v...), nil // of uint8
	case []string:
		b = arrayHead(b, typeString, len(v))
		for _, s := range v {
			b = appendString(b, s)
		}
		return b, nil
	}
	return nil, fmt.Errorf("a value of type %T", value)
}

func arrayHead(b []byte, element uint32, n int) []byte {
	b = le.AppendUint32(b, typeArray)
	b = le.AppendUint32(b, element)
	return le.AppendUint64(b, uint64(n))
}

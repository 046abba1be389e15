package checkpoint

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/ecospa/ecospa/pkg/param"
)

// Stream is a tensor of a file whose rows are made while they are written.
type Stream struct {
	Name  string
	Shape []int // row-major
	// Fill writes the rows lo to hi, along the first dimension, to dst.
	Fill func(dst []float32, lo, hi int)
}

// Elements is the number of elements of the tensor.
func (s Stream) Elements() int { return product(s.Shape) }

// Each hands out the elements in order, some whole rows at a time, in a buffer
// that the next call overwrites; it stops at the first error.
func (s Stream) Each(use func(values []float32) error) error {
	if s.Elements() == 0 {
		return nil
	}
	rows := s.Shape[0]
	width := s.Elements() / rows
	step := min(rows, max(tile, chunkElements/width))
	buf := make([]float32, step*width)
	for lo := 0; lo < rows; lo += step {
		hi := min(rows, lo+step)
		part := buf[:(hi-lo)*width]
		s.Fill(part, lo, hi)
		if err := use(part); err != nil {
			return err
		}
	}
	return nil
}

// Write writes the elements as the type F32, F16 or BF16. A number that is
// not finite in it is an ErrNonFinite that names the tensor.
func (s Stream) Write(w io.Writer, dtype string) error {
	if !isFloat(dtype) {
		return fmt.Errorf("checkpoint: weights of type %s, expected F32, F16 or BF16", quote(dtype))
	}
	var raw []byte
	done := 0
	return s.Each(func(values []float32) error {
		raw = grow(raw, len(values)*int(dtypeBytes[dtype]))
		if bad := Encode(raw, values, dtype); bad >= 0 {
			return badNumber(s.Name, done+bad, values[bad], dtype)
		}
		done += len(values)
		_, err := w.Write(raw[:len(values)*int(dtypeBytes[dtype])])
		return err
	})
}

// WriteStreams writes the tensors as one safetensors file of the type F32, F16
// or BF16.
func WriteStreams(w io.Writer, streams []Stream, dtype string) error {
	tensors := make([]placed, len(streams))
	for i, s := range streams {
		tensors[i] = placed{Tensor: Tensor{Name: s.Name}, shape: s.Shape}
	}
	head, _, err := header(tensors, dtype)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, s := range streams {
		if err := s.Write(w, dtype); err != nil {
			return err
		}
	}
	return nil
}

// ReadStreams fills the set from tensors that the caller reads, on all cores: open is asked
// for each by its name and the shape it must have, and the function that it
// returns fills dst with the elements from number `at` on. Each block that can be
// stored as t is, as soon as it is read (see ReadWeightsAs). A number that is not
// finite is an ErrNonFinite.
func ReadStreams(set *param.Set, tensors []Tensor, t param.DType, open func(name string, shape []int) (func(dst []float32, at int) error, error)) error {
	bound, err := bindAll(set, tensors)
	if err != nil {
		return err
	}
	if t != param.F32 {
		slices.SortStableFunc(bound, func(a, b placed) int { return cmp.Compare(a.first(), b.first()) })
	}
	store := newStorer(set, t)
	for i := range bound {
		store.expect(&bound[i])
	}
	_, err = onAllCores(len(bound), func() func(i int) error {
		var buf []float32
		return func(i int) error {
			read, err := open(bound[i].Name, bound[i].shape)
			if err != nil {
				return err
			}
			if buf, err = bound[i].stream(buf, read); err != nil {
				return err
			}
			return store.done(&bound[i])
		}
	})
	if err != nil {
		return err
	}
	return set.StoreAll(t)
}

// stream fills a tensor's parameters by chunks of rows that read hands out; buf is used and returned.
func (p *placed) stream(buf []float32, read func(dst []float32, at int) error) ([]float32, error) {
	at := 0
	for i := range p.segments {
		s := &p.segments[i]
		step := s.chunk()
		buf = grow(buf, step*s.width)
		for lo := 0; lo < s.rows; lo += step {
			hi := min(s.rows, lo+step)
			values := buf[:(hi-lo)*s.width]
			if err := read(values, at); err != nil {
				return buf, fmt.Errorf("read %s: %w", p.Name, err)
			}
			if bad := nonFinite(values); bad >= 0 {
				return buf, badNumber(p.Name, at+bad, values[bad], "a model")
			}
			s.scatter(values, lo, hi)
			at += len(values)
		}
	}
	return buf, nil
}

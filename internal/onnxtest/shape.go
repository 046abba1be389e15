package onnxtest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ecospa/ecospa/internal/onnx"
)

func init() {
	register("Shape", func(_ *runner, _ *onnx.Node, in []*Array) ([]*Array, error) {
		if err := want(in, 1); err != nil {
			return nil, err
		}
		out := &Array{Shape: []int{len(in[0].Shape)}, I: make([]int64, len(in[0].Shape))}
		for i, d := range in[0].Shape {
			out.I[i] = int64(d)
		}
		return []*Array{out}, nil
	})
	register("Range", ranged)
	register("Gather", gather)
	register("Unsqueeze", unsqueeze)
	register("Reshape", reshape)
	register("Transpose", transpose)
	register("Concat", concat)
	register("Split", split)
	register("Expand", expand)
}

// ranged counts from in[0] below in[1] in steps of in[2].
func ranged(_ *runner, _ *onnx.Node, in []*Array) ([]*Array, error) {
	if err := want(in, 3); err != nil {
		return nil, err
	}
	for _, a := range in[:3] {
		if len(a.I) != 1 {
			return nil, errors.New("expected three integers")
		}
	}
	from, to, step := in[0].I[0], in[1].I[0], in[2].I[0]
	if from != 0 || step != 1 || to < 0 || to > maxElements {
		return nil, fmt.Errorf("from %d to %d in steps of %d, expected from 0 in steps of 1", from, to, step)
	}
	out := &Array{Shape: []int{int(to)}, I: make([]int64, to)}
	for i := range out.I {
		out.I[i] = int64(i)
	}
	return []*Array{out}, nil
}

// gather picks along an axis; of a weight only the rows that are asked for are read.
func gather(r *runner, n *onnx.Node, in []*Array) ([]*Array, error) {
	if len(in) < 2 || in[1] == nil || in[1].F != nil {
		return nil, errors.New("expected data and indices")
	}
	var w *weight
	var shape []int
	if in[0] != nil {
		shape = in[0].Shape
	} else {
		if w = r.weight(n.In[0]); w == nil {
			return nil, errors.New("expected data and indices")
		}
		shape = w.shape
	}
	at, err := axis(intOf(n, "axis", 0), len(shape))
	if err != nil {
		return nil, err
	}
	outer, size, inner := around(shape, at)
	if w != nil && at != 0 {
		return nil, errors.New("rows of a weight along another axis than 0")
	}
	outShape := slices.Concat(shape[:at], in[1].Shape, shape[at+1:])
	if _, err := elements(outShape); err != nil {
		return nil, err
	}
	out := &Array{Shape: outShape}
	for o := range outer {
		for _, i := range in[1].I {
			if i < 0 {
				i += int64(size)
			}
			if i < 0 || i >= int64(size) {
				return nil, fmt.Errorf("index %d of %d", i, size)
			}
			from := in[0]
			begin := (o*size + int(i)) * inner
			if w != nil {
				if from, err = r.f.read(w, begin, inner, nil); err != nil {
					return nil, err
				}
				begin = 0
			}
			if from.F != nil {
				out.F = append(out.F, from.F[begin:begin+inner]...)
			}
			if from.I != nil {
				out.I = append(out.I, from.I[begin:begin+inner]...)
			}
		}
	}
	return []*Array{out}, nil
}

// unsqueeze gives the value dimensions of one at the places in[1].
func unsqueeze(_ *runner, _ *onnx.Node, in []*Array) ([]*Array, error) {
	if err := want(in, 2); err != nil {
		return nil, err
	}
	rank := len(in[0].Shape) + len(in[1].I)
	if rank > 16 {
		return nil, fmt.Errorf("%d dimensions", rank)
	}
	at := map[int]bool{}
	for _, x := range in[1].I {
		a, err := axis(x, rank)
		if err != nil {
			return nil, err
		}
		at[a] = true
	}
	if len(at) != len(in[1].I) {
		return nil, errors.New("an axis twice")
	}
	out := &Array{F: in[0].F, I: in[0].I}
	rest := in[0].Shape
	for i := range rank {
		if at[i] {
			out.Shape = append(out.Shape, 1)
		} else {
			out.Shape, rest = append(out.Shape, rest[0]), rest[1:]
		}
	}
	return []*Array{out}, nil
}

// reshape: one dimension may be -1, what is left.
func reshape(_ *runner, _ *onnx.Node, in []*Array) ([]*Array, error) {
	if err := want(in, 2); err != nil {
		return nil, err
	}
	out := &Array{F: in[0].F, I: in[0].I}
	open, rest := -1, 1
	for i, d := range in[1].I {
		if d == -1 && open < 0 {
			open, d = i, 1
		}
		if d < 1 || d > maxElements || rest > maxElements/int(d) {
			return nil, fmt.Errorf("to shape %v", in[1].I)
		}
		out.Shape = append(out.Shape, int(d))
		rest *= int(d)
	}
	if open >= 0 && in[0].len()%rest == 0 {
		out.Shape[open] = in[0].len() / rest
		rest *= out.Shape[open]
	}
	if rest != in[0].len() {
		return nil, fmt.Errorf("shape %v to %v", in[0].Shape, in[1].I)
	}
	return []*Array{out}, nil
}

func transpose(_ *runner, n *onnx.Node, in []*Array) ([]*Array, error) {
	if err := want(in, 1); err != nil {
		return nil, err
	}
	a, perm := in[0], intsOf(n, "perm")
	if len(perm) != len(a.Shape) || a.I != nil {
		return nil, fmt.Errorf("perm %v of floats of shape %v", perm, a.Shape)
	}
	strides := make([]int, len(perm))
	for i, s := len(perm)-1, 1; i >= 0; i-- {
		strides[i] = s
		s *= a.Shape[i]
	}
	out := &Array{Shape: make([]int, len(perm)), F: make([]float32, len(a.F))}
	by, seen := make([]int, len(perm)), make([]bool, len(perm))
	for i, p := range perm {
		if p < 0 || int(p) >= len(perm) || seen[p] {
			return nil, fmt.Errorf("perm %v", perm)
		}
		seen[p] = true
		out.Shape[i], by[i] = a.Shape[p], strides[p]
	}
	index, at := make([]int, len(perm)), 0
	for i := range out.F {
		out.F[i] = a.F[at]
		for d := len(perm) - 1; d >= 0; d-- {
			index[d]++
			at += by[d]
			if index[d] < out.Shape[d] {
				break
			}
			at -= out.Shape[d] * by[d]
			index[d] = 0
		}
	}
	return []*Array{out}, nil
}

func concat(_ *runner, n *onnx.Node, in []*Array) ([]*Array, error) {
	if err := want(in, max(1, len(in))); err != nil {
		return nil, err
	}
	at, err := axis(intOf(n, "axis", 0), len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	out := &Array{Shape: slices.Clone(in[0].Shape)}
	for _, a := range in[1:] {
		if len(a.Shape) != len(out.Shape) || (a.I == nil) != (in[0].I == nil) {
			return nil, fmt.Errorf("shapes %v and %v", out.Shape, a.Shape)
		}
		for d := range a.Shape {
			if d != at && a.Shape[d] != out.Shape[d] {
				return nil, fmt.Errorf("shapes %v and %v along axis %d", out.Shape, a.Shape, at)
			}
		}
		out.Shape[at] += a.Shape[at]
	}
	outer, _, inner := around(out.Shape, at)
	for o := range outer {
		for _, a := range in {
			n := a.Shape[at] * inner
			if a.F != nil {
				out.F = append(out.F, a.F[o*n:(o+1)*n]...)
			}
			if a.I != nil {
				out.I = append(out.I, a.I[o*n:(o+1)*n]...)
			}
		}
	}
	return []*Array{out}, nil
}

// split cuts floats into equal parts along an axis.
func split(_ *runner, n *onnx.Node, in []*Array) ([]*Array, error) {
	if err := want(in, 1); err != nil {
		return nil, err
	}
	if len(in) == 2 && in[1] != nil {
		return splitSizes(n, in[0], in[1].I)
	}
	a, parts := in[0], len(n.Out)
	at, err := axis(intOf(n, "axis", 0), len(a.Shape))
	if err != nil {
		return nil, err
	}
	if len(in) > 1 || parts < 1 || a.Shape[at]%parts != 0 || a.I != nil {
		return nil, fmt.Errorf("%d equal parts of floats of shape %v along axis %d", parts, a.Shape, at)
	}
	outer, size, inner := around(a.Shape, at)
	out := make([]*Array, parts)
	for p := range out {
		out[p] = &Array{Shape: slices.Clone(a.Shape), F: make([]float32, 0, len(a.F)/parts)}
		out[p].Shape[at] /= parts
	}
	run := size / parts * inner
	for i := range outer * parts {
		out[i%parts].F = append(out[i%parts].F, a.F[i*run:(i+1)*run]...)
	}
	return out, nil
}

// splitSizes cuts floats along an axis in parts of these sizes.
func splitSizes(n *onnx.Node, a *Array, sizes []int64) ([]*Array, error) {
	at, err := axis(intOf(n, "axis", 0), len(a.Shape))
	if err != nil {
		return nil, err
	}
	outer, size, inner := around(a.Shape, at)
	left := size
	for _, s := range sizes {
		if s < 0 || s > int64(left) {
			return nil, fmt.Errorf("parts of %v, of %d along axis %d", sizes, size, at)
		}
		left -= int(s)
	}
	if left != 0 || len(sizes) != len(n.Out) || a.I != nil {
		return nil, fmt.Errorf("parts of %v, of %d along axis %d", sizes, size, at)
	}
	out := make([]*Array, len(sizes))
	begin := 0
	for p, s := range sizes {
		run := int(s) * inner
		out[p] = &Array{Shape: slices.Clone(a.Shape), F: make([]float32, 0, outer*run)}
		out[p].Shape[at] = int(s)
		for o := range outer {
			out[p].F = append(out[p].F, a.F[o*size*inner+begin:][:run]...)
		}
		begin += run
	}
	return out, nil
}

// expand repeats floats to the shape in[1].
func expand(_ *runner, _ *onnx.Node, in []*Array) ([]*Array, error) {
	if err := want(in, 2); err != nil {
		return nil, err
	}
	if in[0].I != nil || in[1].F != nil {
		return nil, errors.New("expected floats and a shape")
	}
	to := make([]int, len(in[1].I))
	for i, d := range in[1].I {
		if d < 1 || d > maxElements {
			return nil, fmt.Errorf("to shape %v", in[1].I)
		}
		to[i] = int(d)
	}
	shape, err := broadcast(in[0].Shape, to)
	if err != nil {
		return nil, err
	}
	out, err := floats(shape...)
	if err != nil {
		return nil, err
	}
	over(shape, func(i int, at []int) { out.F[i] = in[0].F[at[0]] }, in[0].Shape)
	return []*Array{out}, nil
}

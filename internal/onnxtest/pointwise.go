package onnxtest

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ecospa/ecospa/internal/onnx"
)

func init() {
	for name, f := range map[string]func(x float64) float64{
		"Abs": math.Abs, "Sqrt": math.Sqrt, "Tanh": math.Tanh, "Erf": math.Erf, "Cos": math.Cos, "Sin": math.Sin,
		"Sigmoid": func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
	} {
		register(name, func(_ *runner, _ *onnx.Node, in []*Array) ([]*Array, error) {
			if err := want(in, 1); err != nil {
				return nil, err
			}
			out := &Array{Shape: in[0].Shape, F: make([]float32, len(in[0].F))}
			for i, x := range in[0].F {
				out.F[i] = float32(f(float64(x)))
			}
			return []*Array{out}, nil
		})
	}
	for name, f := range map[string]func(a, b float32) float32{
		"Add": func(a, b float32) float32 { return a + b }, "Sub": func(a, b float32) float32 { return a - b },
		"Mul": func(a, b float32) float32 { return a * b }, "Div": func(a, b float32) float32 { return a / b },
	} {
		register(name, func(_ *runner, _ *onnx.Node, in []*Array) ([]*Array, error) {
			if err := want(in, 2); err != nil {
				return nil, err
			}
			if in[0].I != nil || in[1].I != nil {
				return nil, errors.New("integers, expected floats")
			}
			shape, err := broadcast(in[0].Shape, in[1].Shape)
			if err != nil {
				return nil, err
			}
			out, err := floats(shape...)
			if err != nil {
				return nil, err
			}
			over(shape, func(i int, at []int) { out.F[i] = f(in[0].F[at[0]], in[1].F[at[1]]) }, in[0].Shape, in[1].Shape)
			return []*Array{out}, nil
		})
	}
	register("GreaterOrEqual", greaterOrEqual)
	register("Where", where)
	register("Cast", cast)
}

// broadcast is the shape that two go together to.
func broadcast(a, b []int) ([]int, error) {
	out := make([]int, max(len(a), len(b)))
	for i := range out {
		x, y := 1, 1
		if k := i - len(out) + len(a); k >= 0 {
			x = a[k]
		}
		if k := i - len(out) + len(b); k >= 0 {
			y = b[k]
		}
		if x != y && x != 1 && y != 1 {
			return nil, fmt.Errorf("shapes %v and %v do not go together", a, b)
		}
		out[i] = x
		if x == 1 {
			out[i] = y
		}
	}
	return out, nil
}

// over visits the elements of a shape, with the place in each operand, whose
// shapes broadcast to it.
func over(shape []int, visit func(i int, at []int), operands ...[]int) {
	total := 1
	for _, d := range shape {
		total *= d
	}
	steps := make([][]int, len(operands))
	for k, s := range operands {
		steps[k] = make([]int, len(shape))
		stride := 1
		for i := len(s) - 1; i >= 0; i-- {
			if s[i] > 1 {
				steps[k][i+len(shape)-len(s)] = stride
			}
			stride *= s[i]
		}
	}
	index, at := make([]int, len(shape)), make([]int, len(operands))
	for i := range total {
		visit(i, at)
		for d := len(shape) - 1; d >= 0; d-- {
			index[d]++
			for k := range at {
				at[k] += steps[k][d]
			}
			if index[d] < shape[d] {
				break
			}
			for k := range at {
				at[k] -= shape[d] * steps[k][d]
			}
			index[d] = 0
		}
	}
}

func greaterOrEqual(_ *runner, _ *onnx.Node, in []*Array) ([]*Array, error) {
	if err := want(in, 2); err != nil {
		return nil, err
	}
	ints := in[0].F == nil
	if ints != (in[1].F == nil) {
		return nil, errors.New("integers and floats, expected one of them")
	}
	shape, err := broadcast(in[0].Shape, in[1].Shape)
	if err != nil {
		return nil, err
	}
	n, err := elements(shape)
	if err != nil {
		return nil, err
	}
	out := &Array{Shape: shape, I: make([]int64, n)}
	over(shape, func(i int, at []int) {
		if ints && in[0].I[at[0]] >= in[1].I[at[1]] || !ints && in[0].F[at[0]] >= in[1].F[at[1]] {
			out.I[i] = 1
		}
	}, in[0].Shape, in[1].Shape)
	return []*Array{out}, nil
}

func where(_ *runner, _ *onnx.Node, in []*Array) ([]*Array, error) {
	if err := want(in, 3); err != nil {
		return nil, err
	}
	if in[0].F != nil || in[1].I != nil || in[2].I != nil {
		return nil, errors.New("expected a condition and two operands of floats")
	}
	shape, err := broadcast(in[1].Shape, in[2].Shape)
	if err == nil {
		shape, err = broadcast(in[0].Shape, shape)
	}
	if err != nil {
		return nil, err
	}
	out, err := floats(shape...)
	if err != nil {
		return nil, err
	}
	over(shape, func(i int, at []int) {
		if in[0].I[at[0]] != 0 {
			out.F[i] = in[1].F[at[1]]
		} else {
			out.F[i] = in[2].F[at[2]]
		}
	}, in[0].Shape, in[1].Shape, in[2].Shape)
	return []*Array{out}, nil
}

// cast turns integers into floats; floats of 16 bits are wide already.
func cast(_ *runner, n *onnx.Node, in []*Array) ([]*Array, error) {
	if err := want(in, 1); err != nil {
		return nil, err
	}
	if to := intOf(n, "to", 0); to != onnx.Float {
		return nil, fmt.Errorf("to type %d, expected float32 (1)", to)
	}
	out := &Array{Shape: in[0].Shape, F: slices.Clone(in[0].F)}
	for _, x := range in[0].I {
		out.F = append(out.F, float32(x))
	}
	return []*Array{out}, nil
}

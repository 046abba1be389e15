package onnxtest

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/ecospa/ecospa/internal/onnx"
)

func init() {
	register("Gemm", gemm)
	register("MatMul", matMul)
	register("Softmax", softmax)
	register("ReduceMean", reduceMean)
	register("LayerNormalization", layerNorm)
}

// product is c[m, n] = a[m, k]·b, b being [k, n] or, transposed, [n, k]. Rows are
// shared among the cores.
func product(c, a, b []float32, m, k, n int, transposed bool) {
	workers := min(m, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < m; i += workers {
				x, y := a[i*k:(i+1)*k], c[i*n:(i+1)*n]
				if transposed {
					for j := range y {
						y[j] = dot(x, b[j*k:(j+1)*k])
					}
					continue
				}
				for p, s := range x {
					for j, v := range b[p*n : (p+1)*n] {
						y[j] += s * v
					}
				}
			}
		})
	}
	group.Wait()
}

func dot(a, b []float32) float32 {
	var s [4]float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s[0] += a[i] * b[i]
		s[1] += a[i+1] * b[i+1]
		s[2] += a[i+2] * b[i+2]
		s[3] += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s[0] += a[i] * b[i]
	}
	return s[0] + s[1] + s[2] + s[3]
}

// gemm is a·b + c, with b transposed when transB is 1; alpha and beta are 1.
func gemm(_ *runner, n *onnx.Node, in []*Array) ([]*Array, error) {
	if err := want(in, 2); err != nil {
		return nil, err
	}
	a, b, transposed := in[0], in[1], intOf(n, "transB", 0) != 0
	if len(a.Shape) != 2 || len(b.Shape) != 2 || a.I != nil || b.I != nil || intOf(n, "transA", 0) != 0 || floatOf(n, "alpha", 1) != 1 || floatOf(n, "beta", 1) != 1 {
		return nil, errors.New("expected two matrices of floats, the first as it is, alpha and beta 1")
	}
	k, cols := b.Shape[0], b.Shape[1]
	if transposed {
		k, cols = cols, k
	}
	if a.Shape[1] != k {
		return nil, fmt.Errorf("shapes %v and %v", a.Shape, b.Shape)
	}
	out, err := floats(a.Shape[0], cols)
	if err != nil {
		return nil, err
	}
	product(out.F, a.F, b.F, a.Shape[0], k, cols, transposed)
	if len(in) > 2 && in[2] != nil {
		if len(in[2].F) != cols {
			return nil, fmt.Errorf("a bias of %d for %d columns", len(in[2].F), cols)
		}
		for i := range out.F {
			out.F[i] += in[2].F[i%cols]
		}
	}
	return []*Array{out}, nil
}

// matMul multiplies the last two dimensions; the ones before broadcast.
func matMul(_ *runner, _ *onnx.Node, in []*Array) ([]*Array, error) {
	if err := want(in, 2); err != nil {
		return nil, err
	}
	a, b := in[0], in[1]
	ra, rb := len(a.Shape), len(b.Shape)
	if ra < 2 || rb < 2 || a.I != nil || b.I != nil || a.Shape[ra-1] != b.Shape[rb-2] {
		return nil, fmt.Errorf("shapes %v and %v", a.Shape, b.Shape)
	}
	m, k, n := a.Shape[ra-2], a.Shape[ra-1], b.Shape[rb-1]
	outer, err := broadcast(a.Shape[:ra-2], b.Shape[:rb-2])
	if err != nil {
		return nil, err
	}
	out, err := floats(append(slices.Clone(outer), m, n)...)
	if err != nil {
		return nil, err
	}
	over(outer, func(i int, at []int) {
		product(out.F[i*m*n:(i+1)*m*n], a.F[at[0]*m*k:(at[0]+1)*m*k], b.F[at[1]*k*n:(at[1]+1)*k*n], m, k, n, false)
	}, a.Shape[:ra-2], b.Shape[:rb-2])
	return []*Array{out}, nil
}

// last is the length of the last dimension of floats that an operator works along.
func last(n *onnx.Node, in []*Array) (int, error) {
	if err := want(in, 1); err != nil {
		return 0, err
	}
	rank := len(in[0].Shape)
	if rank == 0 || in[0].Shape[rank-1] == 0 || in[0].I != nil {
		return 0, fmt.Errorf("shape %v", in[0].Shape)
	}
	if at, err := axis(intOf(n, "axis", -1), rank); err != nil || at != rank-1 {
		return 0, fmt.Errorf("axis %d, expected the last of %d", intOf(n, "axis", -1), rank)
	}
	return in[0].Shape[rank-1], nil
}

func softmax(_ *runner, n *onnx.Node, in []*Array) ([]*Array, error) {
	w, err := last(n, in)
	if err != nil {
		return nil, err
	}
	out := &Array{Shape: in[0].Shape, F: slices.Clone(in[0].F)}
	for r := 0; r < len(out.F); r += w {
		row := out.F[r : r+w]
		most, sum := slices.Max(row), 0.0
		for i, x := range row {
			row[i] = float32(math.Exp(float64(x - most)))
			sum += float64(row[i])
		}
		for i := range row {
			row[i] = float32(float64(row[i]) / sum)
		}
	}
	return []*Array{out}, nil
}

// reduceMean is the mean along the last axis, which stays as one element.
func reduceMean(_ *runner, n *onnx.Node, in []*Array) ([]*Array, error) {
	w, err := last(n, in)
	if err != nil {
		return nil, err
	}
	rank := len(in[0].Shape)
	if axes := intsOf(n, "axes"); len(axes) != 1 || axes[0] != -1 && axes[0] != int64(rank-1) || intOf(n, "keepdims", 1) != 1 {
		return nil, fmt.Errorf("axes %v, expected the last, kept", axes)
	}
	out := &Array{Shape: append(slices.Clone(in[0].Shape[:rank-1]), 1), F: make([]float32, len(in[0].F)/w)}
	for r := range out.F {
		sum := 0.0
		for _, x := range in[0].F[r*w : (r+1)*w] {
			sum += float64(x)
		}
		out.F[r] = float32(sum / float64(w))
	}
	return []*Array{out}, nil
}

func layerNorm(_ *runner, n *onnx.Node, in []*Array) ([]*Array, error) {
	w, err := last(n, in)
	if err != nil {
		return nil, err
	}
	if err := want(in, 2); err != nil {
		return nil, err
	}
	bias := make([]float32, w)
	if len(in) > 2 && in[2] != nil {
		bias = in[2].F
	}
	if len(in[1].F) != w || len(bias) != w {
		return nil, fmt.Errorf("a gain of %d and a bias of %d for %d columns", len(in[1].F), len(bias), w)
	}
	eps := float64(floatOf(n, "epsilon", 1e-5))
	out := &Array{Shape: in[0].Shape, F: make([]float32, len(in[0].F))}
	for r := 0; r < len(out.F); r += w {
		row, mean, variance := in[0].F[r:r+w], 0.0, 0.0
		for _, x := range row {
			mean += float64(x) / float64(w)
		}
		for _, x := range row {
			variance += (float64(x) - mean) * (float64(x) - mean) / float64(w)
		}
		scale := 1 / math.Sqrt(variance+eps)
		for i, x := range row {
			out.F[r+i] = float32((float64(x)-mean)*scale)*in[1].F[i] + bias[i]
		}
	}
	return []*Array{out}, nil
}

package kernel

import "testing"

func TestEmbed(t *testing.T) {
	for _, E := range []int{1, 7, 64, 131} {
		const V = 11
		ids := []int32{3, 0, 10, 3, 3, 7, 0, 1, 9}
		conform(t, op{
			name: "embed", in: []int{V * E}, out: []int{len(ids) * E}, tol: 1e-6,
			forward: func(p *Pool, out, in [][]float32) { EmbedForward(p, out[0], in[0], ids, E) },
			reference: func(in [][]float64) [][]float64 {
				var y []float64
				for _, id := range ids {
					y = append(y, in[0][int(id)*E:][:E]...)
				}
				return [][]float64{y}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) { EmbedBackward(p, din[0], dout, ids, E) },
			diff:     []int{0}, adds: []int{0},
		})
	}
}

func TestAddRows(t *testing.T) {
	for _, s := range [][3]int{{1, 1, 1}, {12, 4, 7}, {6, 3, 65}, {5, 8, 3}} { // N, T, E; N < T leaves rows unused
		N, T, E := s[0], s[1], s[2]
		conform(t, op{
			name: "addrows", in: []int{N * E, T * E}, out: []int{N * E}, tol: 1e-6,
			forward: func(p *Pool, out, in [][]float32) { AddRowsForward(p, out[0], in[0], in[1], N, T, E) },
			reference: func(in [][]float64) [][]float64 {
				y := make([]float64, N*E)
				for i := range y {
					y[i] = in[0][i] + in[1][i/E%T*E+i%E]
				}
				return [][]float64{y}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
				copy(din[0], dout)
				AddRowsBackward(p, din[1], dout, N, T, E)
			},
			diff: []int{0, 1}, adds: []int{1},
		})
	}
}

func TestAdd(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 1000, 50001} {
		conform(t, op{
			name: "add", in: []int{n, n}, out: []int{n}, tol: 1e-6,
			forward: func(p *Pool, out, in [][]float32) { Add(p, out[0], in[0], in[1]) },
			reference: func(in [][]float64) [][]float64 {
				y := make([]float64, n)
				for i := range y {
					y[i] = in[0][i] + in[1][i]
				}
				return [][]float64{y}
			},
		})
	}
}

func TestAddScaled(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 1000, 50001} {
		conform(t, op{
			name: "addscaled", in: []int{n, n}, out: []int{n}, tol: 1e-6,
			forward: func(p *Pool, out, in [][]float32) { AddScaled(p, out[0], in[0], in[1], 0.22) },
			reference: func(in [][]float64) [][]float64 {
				y := make([]float64, n)
				for i := range y {
					y[i] = in[0][i] + 0.22*in[1][i]
				}
				return [][]float64{y}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
				copy(din[0], dout)
				Scale(p, din[1], dout, 0.22)
			},
			diff: []int{0, 1},
		})
	}
}

func TestAddRowsAt(t *testing.T) {
	pos := []int32{0, 1, 2, 0, 0, 5, 1}
	for _, E := range []int{1, 7, 65} {
		conform(t, op{
			name: "addrowsat", in: []int{len(pos) * E, 6 * E}, out: []int{len(pos) * E}, tol: 1e-6,
			forward: func(p *Pool, out, in [][]float32) { AddRowsAt(p, out[0], in[0], in[1], pos, E) },
			reference: func(in [][]float64) [][]float64 {
				y := make([]float64, len(pos)*E)
				for i := range y {
					y[i] = in[0][i] + in[1][int(pos[i/E])*E+i%E]
				}
				return [][]float64{y}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
				copy(din[0], dout)
				EmbedBackward(p, din[1], dout, pos, E)
			},
			diff: []int{0, 1}, adds: []int{1},
		})
	}
}

func TestBiasGrad(t *testing.T) {
	for _, s := range [][2]int{{1, 1}, {9, 5}, {70, 200}, {33, 131}} {
		N, M := s[0], s[1]
		conform(t, op{
			name: "bias", in: []int{N * M, M}, out: []int{N * M}, tol: 2e-6,
			forward: func(p *Pool, out, in [][]float32) {
				AddRowsForward(p, out[0], in[0], in[1], N, 1, M)
			},
			reference: func(in [][]float64) [][]float64 {
				y := make([]float64, N*M)
				for i := range y {
					y[i] = in[0][i] + in[1][i%M]
				}
				return [][]float64{y}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) { BiasGrad(p, din[1], dout, N, M) },
			diff:     []int{1}, adds: []int{1},
		})
	}
}

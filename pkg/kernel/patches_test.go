package kernel

import "testing"

func TestPatches(t *testing.T) {
	for _, s := range [][5]int{{1, 1, 2, 2, 1}, {2, 3, 8, 12, 4}, {3, 1, 8, 8, 8}, {1, 3, 32, 16, 16}} { // B, C, H, W, P
		B, C, H, W, P := s[0], s[1], s[2], s[3], s[4]
		n := B * C * H * W
		conform(t, op{
			name: "patches", in: []int{n}, out: []int{n}, tol: 0,
			forward: func(p *Pool, out, in [][]float32) { Patches(p, out[0], in[0], B, C, H, W, P) },
			reference: func(in [][]float64) [][]float64 {
				y := make([]float64, n)
				for i := range y {
					at := i
					px, at := at%P, at/P
					py, at := at%P, at/P
					c, at := at%C, at/C
					x, at := at%(W/P), at/(W/P)
					row, b := at%(H/P), at/(H/P)
					y[i] = in[0][((b*C+c)*H+row*P+py)*W+x*P+px]
				}
				return [][]float64{y}
			},
		})
	}
}

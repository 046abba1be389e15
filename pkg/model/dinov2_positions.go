package model

import "math"

// resized makes the model one of images of another size: its positions become those of a
// finer or coarser square when they are read.
func (m *vit) resized(side int) {
	m.dino.trained, m.ImageSize = m.ImageSize/m.PatchSize, side
}

// positions is how the positions of images of the size that the model was trained with become
// those of the present size: see checkpoint.Tensor.Other.
func (m *vit) positions(shape []int64) func(values []float32) []float32 {
	from, to, e := m.dino.trained, m.ImageSize/m.PatchSize, m.Hidden
	if from == 0 || len(shape) != 3 || shape[0] != 1 || shape[1] != int64(from*from)+1 || shape[2] != int64(e) {
		return nil
	}
	return func(values []float32) []float32 {
		out := make([]float32, (to*to+1)*e)
		copy(out, values[:e]) // of the class token
		stretch(out[e:], values[e:], to, from, e)
		return out
	}
}

// stretch interpolates a square of from x from vectors of e numbers to one of to x to, by
// cubic convolution as PyTorch does (F.interpolate, bicubic, align_corners false): at point i
// stands the old point (i+1/2)·from/to - 1/2, of which four neighbours on either axis count;
// beyond the edge is the edge.
func stretch(dst, src []float32, to, from, e int) {
	taps, weights := make([][4]int, to), make([][4]float64, to)
	for i := range to {
		at := (float64(i)+0.5)*float64(from)/float64(to) - 0.5
		first := math.Floor(at)
		weights[i] = cubic(at - first)
		for k := range taps[i] {
			taps[i][k] = min(max(int(first)-1+k, 0), from-1)
		}
	}
	for y := range to {
		for x := range to {
			out := dst[(y*to+x)*e:][:e]
			for c := range out {
				sum := 0.0
				for a, row := range taps[y] {
					for b, column := range taps[x] {
						sum += weights[y][a] * weights[x][b] * float64(src[(row*from+column)*e+c])
					}
				}
				out[c] = float32(sum)
			}
		}
	}
}

// cubic is the weights of four neighbours of a point at t, 0 to 1, between the middle ones
// (Keys, https://doi.org/10.1109/TASSP.1981.1163711, with a = -3/4).
func cubic(t float64) [4]float64 {
	const a = -0.75
	near := func(x float64) float64 { return ((a+2)*x-(a+3))*x*x + 1 }
	far := func(x float64) float64 { return ((a*x-5*a)*x+8*a)*x - 4*a }
	return [4]float64{far(1 + t), near(t), near(1 - t), far(2 - t)}
}

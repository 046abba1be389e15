package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// A loss in pieces is that of whole rows, wherever the largest logit and the target lie, of
// weights of every type, and writes no value behind its scratch.
func TestHeadLossInPieces(t *testing.T) {
	const N, E, V = 37, 64, 2*headPiece + 100
	r := rand.New(rand.NewPCG(3, 3))
	x, w, bias := filled(r, N, E).Data, filled(r, V, E).Data, filled(r, V, 1).Data
	targets := make([]int32, N)
	for i := range targets {
		targets[i] = int32(i * (V - 1) / (N - 1)) // the first id and the last
	}
	targets[5] = -1
	bias[headPiece-1] += 9 // what comes after is small
	bias[headPiece+1] += 9.5
	bias[V-1] += 12
	p := NewPool(2)
	defer p.Close()
	half, q8 := make([]uint16, V*E), make([]byte, V*E/Q8Block*Q8Bytes)
	ToBF16(half, w)
	ToQ8(q8, w)
	for _, stored := range []Weights{{F32: w}, {BF16: half}, {Q8: q8}} {
		for _, smooth := range []float32{0, 0.2} {
			o := HeadOptions{Scale: 1, Smoothing: smooth, Stored: stored, Logits: Logits{Scale: 0.5, SoftCap: 20}}
			in := HeadInput{X: x, Bias: bias, Targets: targets, N: N, E: E, V: V}
			whole, pieces, dx := make([]float32, N), make([]float32, N), make([]float32, N*E)
			HeadLoss(p, in, o, HeadOutput{NLL: whole, DX: dx})
			size := LossScratch(N, V)
			guarded := make([]float32, size+16)
			o.Scratch = guarded[:size]
			HeadLoss(p, in, o, HeadOutput{NLL: pieces})
			name := fmt.Sprintf("bf16 %t q8 %t smoothing %g", stored.BF16 != nil, stored.Q8 != nil, smooth)
			for i, l := range pieces {
				if math.Abs(float64(l-whole[i])) > 4e-6*float64(1+whole[i]) { // float32 exponentials, added in another order
					t.Errorf("%s: row %d is %v, whole %v", name, i, l, whole[i])
				}
			}
			for _, g := range guarded[size:] {
				if g != 0 {
					t.Fatalf("%s: wrote behind its scratch", name)
				}
			}
		}
	}
}

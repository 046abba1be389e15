package kernel_test

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Two tokens, one head of width 1: the second token looks back at the first.
func ExampleAttentionForward() {
	p := kernel.NewPool(1)
	defer p.Close()
	s := kernel.AttnShape{B: 1, T: 2, G: 1, R: 1, QK: 1, VO: 1, Scale: 1, Causal: true}
	qkv := []float32{
		1, 0, 10, // q, k, v of token 0
		2, float32(math.Log(3) / 2), 20, // of token 1: scores 0 and log 3
	}
	ctx, lse := make([]float32, 2), make([]float32, 2)
	kernel.AttentionForward(p, kernel.Rows{F32: ctx}, lse, kernel.Rows{F32: qkv}, nil, s)
	fmt.Printf("%.2f\n", ctx) // token 1: 10·1/4 + 20·3/4
	// Output: [10.00 17.50]
}

// One row, two words, logits 0 and log 3: the probabilities are 1/4 and 3/4.
func ExampleHeadLoss() {
	p := kernel.NewPool(1)
	defer p.Close()
	x := []float32{float32(math.Log(3))}
	w := []float32{0, 1}
	nll, dx, dw := make([]float32, 1), make([]float32, 1), make([]float32, 2)
	kernel.HeadLoss(p, kernel.HeadInput{X: x, W: w, Targets: []int32{1}, N: 1, E: 1, V: 2}, kernel.HeadOptions{Scale: 1}, kernel.HeadOutput{NLL: nll, DX: dx, DW: dw})
	fmt.Printf("loss %.4f dx %.2f\n", nll, dx) // log(4/3), 3/4 - 1
	// Output: loss [0.2877] dx [-0.25]
}

// The first step moves every weight by the learning rate, against its gradient.
func ExampleAdamWStep() {
	p := kernel.NewPool(1)
	defer p.Close()
	w, g := []float32{1, 1, 1}, []float32{0.5, -20, 0}
	m, v := make([]float32, 3), make([]float32, 3)
	kernel.AdamWStep(p, w, g, m, v, kernel.AdamWArgs{LR: 0.1, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, GradScale: 1, Step: 1, ClearGrad: true})
	fmt.Printf("%.2f %v\n", w, g)
	// Output: [0.90 1.10 1.00] [0 0 0]
}

// The gate of a unit: what the loss would gain if its activation grew.
func ExampleGateDot() {
	p := kernel.NewPool(1)
	defer p.Close()
	x := []float32{1, 2, 3, 4} // two tokens of two units
	dx := []float32{10, 0, 1, -1}
	r := make([]float32, 2)
	kernel.GateDot(p, r, kernel.Rows{F32: x}, dx, 1, 2, 2, 0, 2, 1)
	fmt.Println(r)
	// Output: [13 -4]
}

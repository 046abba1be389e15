package main

import (
	"errors"
	"math/rand/v2"

	"gorgonia.org/gorgonia"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
)

// learn trains a classifier of sequences, a layer of attention between operations of
// Gorgonia's own, by plain gradient descent, and returns the losses.
func learn(pool *kernel.Pool, steps int) ([]float32, *graph.Machine, error) {
	const sequences, tokens, width, classes, rate = 8, 6, 16, 4, 0.5
	heads := graph.Shape{B: sequences, T: tokens, G: 2, R: 1, QK: 8, VO: 8, Scale: 0.35}
	rng := rand.New(rand.NewPCG(2, 2))
	g := gorgonia.NewGraph()
	x := input(g, rng, "x", 1, sequences*tokens, width)
	weights := gorgonia.Nodes{
		input(g, rng, "gain", 1, width), input(g, rng, "qkv", 0.2, width, heads.Width()),
		input(g, rng, "out", 0.2, width, width), input(g, rng, "head", 0.2, width, classes),
	}

	// A builder over the user's graph: its operations are nodes among the others.
	b := graph.Wrap(g)
	h := b.RMSNorm(x, weights[0], graph.RMSNorm{Eps: 1e-6})
	qkv := gorgonia.Must(gorgonia.Mul(h, weights[1]))
	context := b.Attention(qkv, nil, heads)
	if b.Err() != nil {
		return nil, nil, b.Err()
	}
	y := gorgonia.Must(gorgonia.Add(x, gorgonia.Must(gorgonia.Mul(context, weights[2]))))
	last := b.Rows(gorgonia.Must(gorgonia.Tanh(y)), tokens, tokens-1) // the last token of each sequence
	cost := crossEntropy(gorgonia.Must(gorgonia.Mul(last, weights[3])), labels(g, sequences, classes))
	grads, err := gorgonia.Grad(cost, weights...)
	if err != nil {
		return nil, nil, err
	}
	b.Output("cost", cost)
	for i, d := range grads {
		b.Output("d"+weights[i].Name(), d)
	}
	m, err := b.Lower(graph.LowerOptions{Pool: pool})
	if err != nil {
		return nil, nil, err
	}

	var losses []float32
	for range steps + 1 {
		if err := m.RunAll(); err != nil {
			return nil, nil, errors.Join(err, m.Close())
		}
		losses = append(losses, m.Output("cost")[0])
		for _, w := range weights {
			for i, d := range m.Output("d" + w.Name()) {
				w.Value().Data().([]float32)[i] -= rate * d
			}
		}
	}
	return losses, m, nil
}

package model_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
)

// TestSortGPT: a GPT-2 with a head of its own, trained by others to sort six digits 0
// to 2 (minGPT's demonstration), sorts every one of 200 sequences.
func TestSortGPT(t *testing.T) {
	const dir = "../../../shared/data/models/sortgpt"
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Skipf("SKIPPED: the weights are not here: %v", err)
	}
	defer root.Close()
	m, set, err := model.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Weights.Close()
	pool := kernel.NewPool(1)
	defer pool.Close()
	const n, digits = 200, 6
	length := 2*digits - 1
	b := graph.NewBuilder(set, graph.BuildOptions{})
	m.Decode(b, n, length, true)
	mc, err := b.Lower(graph.LowerOptions{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	defer mc.Close()
	rng := rand.New(rand.NewPCG(7, 7))
	ids := make([]int32, n*length)
	for i := range n {
		for k := range digits {
			ids[i*length+k] = rng.Int32N(3)
		}
	}
	v := m.Vocab()
	last := make([]int32, n)
	for at := digits - 1; at < length; at++ { // the token after position `at`
		for _, err := range []error{mc.SetInts("ids", ids), mc.RunAll()} {
			if err != nil {
				t.Fatal(err)
			}
		}
		logits := mc.Output("logits")
		for i := range n {
			row := logits[(i*length+at)*v:][:v]
			next := int32(slices.Index(row, slices.Max(row)))
			if at+1 < length {
				ids[i*length+at+1] = next
			} else {
				last[i] = next
			}
		}
	}
	right := 0
	for i := range n {
		want := slices.Sorted(slices.Values(ids[i*length:][:digits]))
		if slices.Equal(want, append(slices.Clone(ids[i*length+digits:(i+1)*length]), last[i])) {
			right++
		}
	}
	if right != n {
		t.Errorf("%d of %d sorted", right, n)
	}
}

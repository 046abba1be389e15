package infer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestSessionEqualsWholePass: tokens fed in any pieces give the logits that one
// pass over all of them gives, for both families, pruned and with two sequences.
func TestSessionEqualsWholePass(t *testing.T) {
	for _, family := range []string{"gpt2", "llama"} {
		src := small(t, family, 12)
		m, set, pool := src.Model, src.Set, src.Pool
		vocab := m.Vocab()

		const batch, tokens = 2, 8
		ids := make([]int32, batch*tokens)
		rng := rand.New(rand.NewPCG(1, 1))
		for i := range ids {
			ids[i] = int32(rng.IntN(vocab))
		}
		for _, bf16 := range []bool{false, true} {
			b := graph.NewBuilder(set, graph.BuildOptions{BF16: bf16})
			m.Decode(b, nil, batch, tokens, true)
			whole, err := b.Lower(graph.LowerOptions{Pool: pool})
			if err != nil {
				t.Fatal(err)
			}
			if err := whole.SetInts("ids", ids); err != nil {
				t.Fatal(err)
			}
			whole.RunAll()
			want := whole.Output("logits")

			sess, err := NewSession(m, set, pool, SessionOptions{Batch: batch, Capacity: 12, BF16: bf16})
			if err != nil {
				t.Fatal(err)
			}
			defer sess.Close()
			// The same sums in another order, over values of size ten. A last bit of
			// difference may round an activation to the next bfloat16.
			tol := 1e-4
			if bf16 {
				tol = 0.1
			}
			at := 0
			for _, n := range []int{3, 1, 3, 1} {
				var piece []int32
				for b := range batch {
					piece = append(piece, ids[b*tokens+at:b*tokens+at+n]...)
				}
				got, err := sess.Feed(piece)
				if err != nil {
					t.Fatal(err)
				}
				at += n
				for b := range batch {
					for v := range vocab {
						w, g := want[(b*tokens+at-1)*vocab+v], got[b*vocab+v]
						if math.Abs(float64(w-g)) > tol {
							t.Fatalf("%s: after %d tokens sequence %d logit %d is %g, expected %g", family, at, b, v, g, w)
						}
					}
				}
			}
			if _, err := sess.Feed(make([]int32, batch*5)); err == nil {
				t.Error("more tokens than fit were accepted")
			}
		}
	}
}

// TestQ8SameBitsInABatch: with weights of Q8 a sequence gets the same bits by itself and
// among 21 others, reading its prompt and writing.
func TestQ8SameBitsInABatch(t *testing.T) {
	m, err := model.New(model.Sizes{Family: "llama", Layers: 2, Width: 64, Heads: 4, KVHeads: 2, HeadDim: 16, FFN: 96, Vocab: 50, Context: 12})
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	set.Init(3)
	for i := range set.Weights.Data {
		set.Weights.Data[i] *= 8
	}
	if err := set.StoreAll(param.Q8); err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	const vocab, others = 50, 21
	var alone []float32 // of the last sequence, step by step
	for _, batch := range []int{1, 1 + others} {
		s, err := NewSession(m, set, pool, SessionOptions{Batch: batch, Capacity: 8})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var got []float32
		for at, n := range []int{5, 1, 1} {
			ids := make([]int32, batch*n)
			for i := range ids {
				ids[i] = int32((7*(batch*n-1-i) + 3*at + 1) % vocab) // counted from the last one's end
			}
			logits, err := s.Feed(ids)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, logits[(batch-1)*vocab:][:vocab]...)
		}
		if alone == nil {
			alone = got
		}
		if !slices.Equal(alone, got) {
			t.Errorf("among %d others logits have other bits", others)
		}
	}
}

package train

import (
	"math"
	"testing"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestLossIsOverTheWholeBatch: with documents of very different lengths, of which each
// micro-batch has another number of tokens to learn, loss and gradient norm are those of the
// batch in one piece: a mean over its tokens, not over the means of micro-batches.
func TestLossIsOverTheWholeBatch(t *testing.T) {
	var documents [][]int32
	for i := range 40 {
		d := []int32{1}
		for k := range 1 + i*i%23 {
			d = append(d, int32((7*i+3*k)%29))
		}
		documents = append(documents, d)
	}
	text := data.Join(documents, 3) // of short ones nothing is learned
	var want Record
	for _, micro := range []int{8, 4, 2, 1} {
		m, err := model.New(model.Sizes{Family: "llama", Layers: 2, Width: 24, Heads: 2, FFN: 32, Vocab: 29, Context: 32})
		if err != nil {
			t.Fatal(err)
		}
		set, err := param.New(m.Specs())
		if err != nil {
			t.Fatal(err)
		}
		set.Init(3)
		batches, err := data.NewBatches(text, 8, 32, data.Cursor{Seed: 2})
		if err != nil {
			t.Fatal(err)
		}
		c, o := Default(), optim.Default()
		c.Steps, c.Batch, c.MicroBatch, c.Context, c.EvalEvery = 3, 8, micro, 32, 100
		pool := kernel.NewPool(1)
		l := NewLoop(c, o.Resolve(c.Steps), m, set, pool, batches)
		if err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := l.Last
		l.Close()
		pool.Close()
		set.Weights.Close()
		if micro == 8 {
			want = got
			continue
		}
		// Sums of float32 in another order: a few units of 1e-7 a term, over three steps.
		if math.Abs(got.Loss-want.Loss) > 2e-5*want.Loss || math.Abs(got.GradNorm-want.GradNorm) > 2e-4*want.GradNorm || got.Tokens != want.Tokens {
			t.Errorf("micro-batches of %d: loss %.7f, |g| %.7f, %d tokens; expected %.7f, %.7f, %d", micro, got.Loss, got.GradNorm, got.Tokens, want.Loss, want.GradNorm, want.Tokens)
		}
	}
}

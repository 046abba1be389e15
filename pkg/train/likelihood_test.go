package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ecospa/ecospa/pkg/data"
)

// TestLikelihoods: whatever batch and padding a continuation falls into, its
// likelihood is that of the same tokens evaluated by themselves.
func TestLikelihoods(t *testing.T) {
	for _, family := range []string{"gpt2", "llama"} {
		l := tinyLoop(t, family, config(1))
		rng := rand.New(rand.NewPCG(3, 3))
		var all []Continuation
		for _, n := range []int{2, 17, 9, 5, 9, 23, 3, 17} { // 23 tokens lose their front in a context of 16
			c := Continuation{From: max(1, n-4)}
			for range n {
				c.IDs = append(c.IDs, rng.Int32N(17))
			}
			all = append(all, c)
		}
		got, err := Likelihoods(l.Model, l.Set, l.Pool, all, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, right, err := Greedy(l.Model, l.Set, l.Pool, all, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if math.Abs(got[i]-again[i]) > 1e-4*math.Abs(got[i]) {
				t.Errorf("%s continuation %d: %g by the loss, %g by logits", family, i, got[i], again[i])
			}
			// Of 17 tokens the likeliest has at least a 17th.
			if judged := float64(len(all[i].IDs) - all[i].From); right[i] && got[i] < -judged*math.Log(17) {
				t.Errorf("%s continuation %d is greedy with %g nats", family, i, got[i])
			}
		}
		for i, c := range all {
			ids := c.IDs[max(0, len(c.IDs)-17):]
			from := c.From - (len(c.IDs) - len(ids))
			T := len(ids) - 1
			e, err := NewEvaluator(l.Model, l.Set, l.Pool, 1, T, false)
			if err != nil {
				t.Fatal(err)
			}
			targets := append([]int32(nil), ids[1:]...)
			for j := range from - 1 {
				targets[j] = -1
			}
			v, err := e.Run(func(yield func(data.Batch, error) bool) { yield(data.Batch{N: 1, IDs: ids[:T], Targets: targets}, nil) })
			e.Close()
			// The same sums, in products of another number of rows.
			if want := -v.Loss * float64(v.Tokens); err != nil || math.Abs(got[i]-want) > 1e-4*math.Abs(want) {
				t.Errorf("%s continuation %d: %g, by itself %g (%v)", family, i, got[i], want, err)
			}
		}
		for _, bad := range []Continuation{{IDs: []int32{1, 2}, From: 0}, {IDs: []int32{1, 2}, From: 2}} {
			if _, err := Likelihoods(l.Model, l.Set, l.Pool, []Continuation{bad}, nil); err == nil {
				t.Errorf("%d tokens from %d were judged", len(bad.IDs), bad.From)
			}
		}
	}
}

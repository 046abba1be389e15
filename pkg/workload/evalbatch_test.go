package workload

import "testing"

// A batch is run whole: of a limited evaluation it has no more sequences than are read.
func TestEvaluationBatch(t *testing.T) {
	for _, c := range []struct {
		o                      EvalOptions
		sequences, ranks, want int
	}{
		{EvalOptions{Context: 128}, 1000, 1, 32},
		{EvalOptions{Context: 128}, 3, 1, 3},
		{EvalOptions{Context: 128, Limit: 512}, 1000, 1, 4},
		{EvalOptions{Context: 128, Limit: 513}, 1000, 2, 3},
		{EvalOptions{Context: 128, Limit: 512}, 2, 1, 2},
		{EvalOptions{Context: 8192, Limit: 512}, 2, 1, 1},
	} {
		if got := c.o.defaultBatch(c.sequences, c.ranks); got != c.want {
			t.Errorf("%+v of %d sequences on %d ranks: batches of %d, want %d", c.o, c.sequences, c.ranks, got, c.want)
		}
	}
}

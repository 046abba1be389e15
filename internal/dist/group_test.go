package dist_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/dist/disttest"
)

// each runs f on every rank at once and returns the errors.
func each(n int, f func(g dist.Group) error) []error {
	errs := make([]error, n)
	var wait sync.WaitGroup
	for r, g := range disttest.Local(n) {
		wait.Go(func() { errs[r] = f(g) })
	}
	wait.Wait()
	return errs
}

func TestLocal(t *testing.T) {
	const n, size = 4, 37
	bounds := dist.Bounds(size, n, 4)
	for r, err := range each(n, func(g dist.Group) error { return dist.Exercise(g, bounds) }) {
		if err != nil {
			t.Errorf("rank %d: %v", r, err)
		}
	}
}

func TestAgree(t *testing.T) {
	errs := each(3, func(g dist.Group) error {
		var d [32]byte
		if g.Rank() == 2 {
			d[0] = 1
		}
		return dist.Agree(g, "the plan", d)
	})
	for r, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "1 of 3") || !strings.Contains(err.Error(), "the plan") {
			t.Errorf("rank %d: %v", r, err)
		}
	}
	for _, err := range each(3, func(g dist.Group) error { return dist.Agree(g, "it", [32]byte{7}) }) {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestShares(t *testing.T) {
	for _, n := range []int{0, 1, 7, 64} {
		end := 0
		for r := range 5 {
			lo, hi := dist.Share(n, r, 5)
			if lo != end || hi < lo || hi-lo > n/5+1 {
				t.Errorf("%d items, rank %d: %d to %d behind %d", n, r, lo, hi, end)
			}
			end = hi
		}
		b := dist.Bounds(n, 5, 4)
		if end != n || b[5] != n || !slices.IsSorted(b) {
			t.Errorf("%d items end at %d, bounds %v", n, end, b)
		}
	}
}

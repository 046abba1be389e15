package prune

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/dist/disttest"
	"github.com/ecospa/ecospa/pkg/coupled"
)

// runRanks prunes on n ranks in this process and returns each one's pruner, result and error.
func runRanks(t *testing.T, family string, n int, edit func(*Job)) ([]*Job, []*Result, []error) {
	t.Helper()
	ps, rs, errs := make([]*Job, n), make([]*Result, n), make([]error, n)
	var wait sync.WaitGroup
	for r, g := range disttest.Local(n) {
		p := &Job{Calibration: calibration(t, family, 22), Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove()}
		p.Config.Target, p.Config.Of, p.Ranks, p.Batch = "0.6x", "prunable", g, 4
		edit(p)
		ps[r] = p
		wait.Go(func() { rs[r], errs[r] = p.Run(t.Context()) })
	}
	wait.Wait()
	return ps, rs, errs
}

// TestRanksAreOneProcess: whatever the number of ranks the same units stay, all have
// the same weights to the bit, and those of one process but for the order of sums.
func TestRanksAreOneProcess(t *testing.T) {
	for name, edit := range map[string]func(*Job){
		"auto":    func(*Job) {},
		"squares": func(p *Job) { p.Config.Criterion, p.Config.Allocation = "fisher-diag", "global" },
		"rounds":  func(p *Job) { p.Rounds, p.Config.Allocation = 2, "global" },
		"uncoupled": func(p *Job) {
			p.Uncoupled, p.Config.Allocation, p.Improve = true, "global", coupled.Improve{Basis: "none", Compensate: "none", Ridge: coupled.DefaultRidge}
		},
	} {
		for _, family := range []string{"gpt2", "llama"} {
			one, first, errs := runRanks(t, family, 1, edit)
			if errs[0] != nil {
				t.Fatalf("%s %s: %v", name, family, errs[0])
			}
			for _, n := range []int{2, 3} {
				many, rs, errs := runRanks(t, family, n, edit)
				for r, p := range many {
					if errs[r] != nil {
						t.Fatalf("%s %s, rank %d of %d: %v", name, family, r, n, errs[r])
					}
					for i, plan := range first[0].Plans {
						if got, want := fmt.Sprint(rs[r].Plans[i].Cut()), fmt.Sprint(plan.Cut()); got != want {
							t.Errorf("%s %s: %d ranks keep\n%s\none keeps\n%s", name, family, n, got, want)
						}
					}
					if a, b := p.Set.Weights.Data, one[0].Set.Weights.Data; len(a) != len(b) {
						t.Fatalf("%s %s: %d weights on %d ranks, %d on one", name, family, len(a), n, len(b))
					}
					for i, w := range p.Set.Weights.Data {
						if w != many[0].Set.Weights.Data[i] {
							t.Fatalf("%s %s: weight %d differs between ranks", name, family, i)
						}
						// A refit solves systems whose sums come in another order.
						if x := one[0].Set.Weights.Data[i]; math.Abs(float64(w-x)) > 2e-3*(1+math.Abs(float64(x))) {
							t.Fatalf("%s %s: weight %d is %g on %d ranks, %g on one", name, family, i, w, n, x)
						}
					}
				}
			}
		}
	}
}

// TestBatchesAreDealtOut: each batch falls to one rank, of either kind nearly as many.
func TestBatchesAreDealtOut(t *testing.T) {
	for _, size := range []int{1, 2, 3, 8} {
		for _, every := range []int{1, 2, 3, 16} {
			seen, shown := make([]int, size), make([]int, size)
			for i := range 96 {
				owners := 0
				for r, g := range disttest.Local(size) {
					if c := (Calibration{Ranks: g}); c.mine(i, every) {
						owners++
						seen[r]++
						if i%every == 0 {
							shown[r]++
						}
					}
				}
				if owners != 1 {
					t.Fatalf("batch %d of one in %d falls to %d of %d ranks", i, every, owners, size)
				}
			}
			for r := range size {
				if seen[r] < 96/size-2 || seen[r] > 96/size+2 || shown[r] < 96/every/size || shown[r] > 96/every/size+1 {
					t.Errorf("rank %d of %d has %d batches, %d of them observed (one in %d)", r, size, seen[r], shown[r], every)
				}
			}
		}
	}
}

// tampered is a rank whose copy of a plan is not what was sent.
type tampered struct{ dist.Group }

func (g tampered) Broadcast(b []byte) error {
	err := g.Group.Broadcast(b)
	if len(b) > 100 && b[0] == '{' {
		b[len(b)/2] ^= 1
	}
	return err
}

func TestAlteredPlanIsCaught(t *testing.T) {
	_, _, errs := runRanks(t, "llama", 3, func(p *Job) {
		p.Config.Allocation = "global"
		if p.Ranks.Rank() == 1 {
			p.Ranks = tampered{p.Ranks}
		}
	})
	for r, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "1 of 3 ranks differ from rank 0 in the plan") {
			t.Errorf("rank %d: %v", r, err)
		}
	}
}

// TestFailureOnTheLead: a plan that cannot be made ends all ranks.
func TestFailureOnTheLead(t *testing.T) {
	_, _, errs := runRanks(t, "llama", 2, func(p *Job) {
		p.Config.Allocation, p.Config.Target, p.Config.MinKeep = "global", "0.9x", 1000
	})
	for r, err := range errs {
		if err == nil {
			t.Errorf("rank %d goes on", r)
		}
	}
}

package run

import (
	"strings"
	"testing"
	"time"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/kernel"
)

// TestUtilisation: no step has more than all of the rate, though it was measured on a machine
// as busy as none is; the rate that a fast step shows stays.
func TestUtilisation(t *testing.T) {
	j := &Job{pool: kernel.NewPool(1), rate: 1, Options: Options{Ranks: Ranks{Group: dist.Alone{}}}}
	defer j.pool.Close()
	first := j.utilisation(1e9, false)
	if !(first > 0 && first <= 1) || j.rate < 1e9 {
		t.Errorf("a step of 1 GFLOP/s has %g of %g", first, j.rate)
	}
	measured := j.rate
	if u := j.utilisation(2*measured, false); u > 1 || u < 0.3 {
		t.Errorf("a step of twice the rate has %g", u)
	}
	if u := j.utilisation(1e9, false); u > first {
		t.Errorf("the same step has %g, and had %g when the rate was lower", u, first)
	}
}

// TestPreflightSaysBusy: times on a machine with other programs are said to be worth little.
func TestPreflightSaysBusy(t *testing.T) {
	p := Preflight{Rate: 1e9, Load: 4.25, Cores: 2, Busy: true}
	if s := p.String(); !strings.Contains(s, "\nbusy      load 4.2 on 2 cores: ") {
		t.Errorf("it says %s", s)
	}
	if p.Busy = false; strings.Contains(p.String(), "busy") {
		t.Error("a quiet machine is busy")
	}
}

// TestPreflightCountsEvaluations: the time that is told holds the evaluations, which can be most
// of a short run on a large model.
func TestPreflightCountsEvaluations(t *testing.T) {
	for _, c := range []struct{ step, steps, every, want int }{
		{0, 2, 20, 2}, {0, 400, 40, 11}, {0, 45, 20, 4}, {40, 400, 40, 9}, {39, 45, 20, 2}, {45, 45, 20, 0},
	} {
		if n := evaluationsLeft(c.step, c.steps, c.every); n != c.want {
			t.Errorf("from step %d to %d, every %d: %d evaluations, expected %d", c.step, c.steps, c.every, n, c.want)
		}
	}
	p := Preflight{Rate: 1e9, Steps: 2, FLOPs: 3e9, Batch: 512}
	if s := p.String(); p.Duration() != 10*time.Second || strings.Contains(s, "evaluation") {
		t.Errorf("without evaluations %s: %s", p.Duration(), s)
	}
	p.Evaluations, p.Evaluated, p.EvaluationFLOPs = 2, 1000, 6e9
	if s := p.String(); p.Duration() != 30*time.Second || !strings.Contains(s, "2 evaluations of 1000 held-out tokens") {
		t.Errorf("with two evaluations %s: %s", p.Duration(), s)
	}
}

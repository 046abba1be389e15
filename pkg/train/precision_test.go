package train

import (
	"math"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/optim"
)

// TestBFloat16LearnsAsWell: products and moments of bfloat16 end near the loss of
// float32, and the moments take half the memory. (Losses of whole runs are in
// docs/results/performance.md.)
func TestBFloat16LearnsAsWell(t *testing.T) {
	run := func(precision, moments string) (float64, Memory) {
		c := config(80)
		c.Precision = precision
		l := tinyLoop(t, "llama", c)
		optim.Close(l.Opt)
		l.Optim.Moments = moments
		l.Opt = optim.New(l.Set, l.Optim)
		sum := 0.0
		l.Attach(Hook{Name: "record", Step: func(l *Loop) error {
			if l.Step > 60 {
				sum += l.Last.Loss / 20
			}
			return nil
		}})
		if err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		return sum, l.Memory()
	}
	want, m32 := run("f32", "f32")
	for _, moments := range []string{"f32", "bf16"} {
		got, m16 := run("bf16", moments)
		if math.Abs(got/want-1) > 0.05 {
			t.Errorf("moments %s: mean loss of the last steps is %g, float32's %g", moments, got, want)
		}
		if (m16.Moments*2 == m32.Moments) != (moments == "bf16") {
			t.Errorf("moments %s take %d bytes, float32's %d", moments, m16.Moments, m32.Moments)
		}
	}
}

// TestPathsTrainAlike: over 200 steps, the losses of float32 on the other CPU paths
// stay within 1e-4 of those on the fastest.
func TestPathsTrainAlike(t *testing.T) {
	best := kernel.CurrentPath()
	defer kernel.UsePath(best)
	losses := func(path string) (x []float64) {
		if err := kernel.UsePath(path); err != nil {
			t.Fatal(err)
		}
		l := tinyLoop(t, "llama", config(200))
		l.Optim.LR = 1e-3
		l.Attach(Hook{Name: "record", Step: func(l *Loop) error { x = append(x, l.Last.Loss); return nil }})
		if err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		return x
	}
	want := losses(best)
	if fall := want[0] - want[199]; fall < 0.5 {
		t.Errorf("the loss falls by %g only", fall)
	}
	for _, path := range kernel.Paths() {
		worst, at := 0.0, 0
		for i, x := range losses(path) {
			if d := math.Abs(x/want[i] - 1); d > worst {
				worst, at = d, i
			}
		}
		t.Logf("%s differs from %s by %.1e at most, at step %d", path, best, worst, at+1)
		if worst > 1e-4 {
			t.Errorf("%s differs from %s by %g at step %d", path, best, worst, at+1)
		}
	}
}

package coupled

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// A criterion on evidence of its own, as another file would add it: the mean of |r|, the
// largest gradient of each unit's rows, and how often a hidden channel is active.
func init() {
	RegisterEvidence(EvidenceKind{Name: "test-sizes", Activations: true, Gradients: true, New: newTestSizes})
	RegisterCriterion(testSize{})
}

type testSizes struct {
	gates  *Units
	slopes []float32 // sum of the gradients' absolute values
	active []float64 // hidden channels of layer 0 above 0
}

func newTestSizes(set *param.Set) *Statistic {
	s := &testSizes{gates: NewUnits(set), slopes: make([]float32, 1)}
	hidden := 0
	for _, g := range Groups(set) {
		if g.Layer == 0 && g.Kind == FFN {
			hidden = g.Units
		}
	}
	s.active = make([]float64, hidden)
	return &Statistic{
		Value: s,
		Sites: []Site{{Name: "layer.0.hidden", Cols: hidden}},
		Visit: func(each func(f64 []float64, f32 []float32) error) error {
			return errors.Join(s.gates.Visit(each), each(nil, s.slopes), each(s.active, nil))
		},
		Shrink: func(cut param.Cut) {
			s.gates.Shrink(cut)
			if keep, ok := cut["layer.0.ffn"]; ok {
				var left []float64
				for _, u := range keep[0] {
					left = append(left, s.active[u])
				}
				s.active = left
			}
		},
		Gates: func(dim string, r []float64) {
			s.gates.Seen(dim)
			for i, x := range r {
				s.gates.Of(dim)[i] += math.Abs(x)
			}
		},
		Gradients: func(grads []float32, scale float32) {
			for _, g := range grads {
				s.slopes[0] += max(g, -g) * scale
			}
		},
		Activations: func(_ string, x []float32, rows, cols int) {
			for i, v := range x {
				if v > 0 {
					s.active[i%cols]++
				}
			}
		},
	}
}

type testSize struct{}

func (testSize) Name() string { return "test-size" }
func (testSize) Needs() Needs { return Needs{Gates: true, Kinds: []string{"test-sizes"}} }

func (testSize) Score(c *Context, g Group) ([][]float64, error) {
	s, err := c.Statistic("test-sizes")
	if err != nil {
		return nil, err
	}
	t := s.(*testSizes).gates.Mean(g)
	if t == nil {
		return nil, ErrEvidence
	}
	return t, nil
}

// TestRegisteredEvidence: a registered kind is gathered from gates (heads' too),
// gradients and activations, and its criterion scores by it.
func TestRegisteredEvidence(t *testing.T) {
	set := byHand(t)
	o := Config{Criterion: "test-size"}.Options(1)
	if !o.PerSequence() || len(o.Kinds) != 1 {
		t.Fatalf("options are %+v", o)
	}
	err := Config{Criterion: "test-size", Allocation: "global"}.CheckTraining()
	if err == nil || !strings.Contains(err.Error(), "calibration pass") {
		t.Errorf("a run without calibration: %v", err)
	}
	e := NewEvidence(set, o)
	grads := param.NewSlab(set.Len())
	for i := range grads.Data {
		grads.Data[i] = -0.5
	}
	for _, err := range []error{
		e.Add("layer.0.qk", []float32{1, -2, 3, 0}, 2), e.Add("layer.0.vo", []float32{1, -2}, 2), e.Add("layer.0.ffn", []float32{0, 1, 1, -1}, 2),
		e.Observe("layer.0.hidden", []float32{0, 1, 2, 1}, 1, 2), e.AddGradients(grads, 2),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := Score("test-size", &Context{Set: set, Evidence: e}, Groups(set))
	if err != nil {
		t.Fatal(err)
	}
	for dim, want := range map[string][]float64{"layer.0.qk": {4, 2}, "layer.0.vo": {3}, "layer.0.ffn": {1, 2}, "layer.0.kv": {3}} {
		for u := range want {
			if got[dim][0][u] != want[u] {
				t.Errorf("%s scores %v, expected %v", dim, got[dim][0], want)
			}
		}
	}
	s := e.more[0].Value.(*testSizes)
	if s.active[0] != 1 || s.active[1] != 2 || s.slopes[0] != float32(set.Len()) {
		t.Errorf("active %v, slopes %v", s.active, s.slopes)
	}
	if _, err := Score("test-size", &Context{Set: set, Evidence: NewEvidence(set, Options{})}, Groups(set)); !errors.Is(err, ErrEvidence) {
		t.Errorf("without its evidence: %v", err)
	}
	unknown := NewEvidence(set, Options{Kinds: []string{"none"}})
	if err := unknown.Add("layer.0.vo", []float32{1}, 1); !errors.Is(err, ErrEvidence) {
		t.Errorf("a kind that is not registered: %v", err)
	}
}

package coupled

import (
	"reflect"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// TestUncoupledByHand: with equal gradients each matrix drops its own smallest
// rows (bias included), as many as the plan, and the partners do not line up.
func TestUncoupledByHand(t *testing.T) {
	set := byHand(t) // |q rows|^2 with bias 25, 5; k 4, 9; in 1, 1; out 100, 1
	e := NewEvidence(set, Options{Squares: true})
	g := param.NewSlab(set.Len())
	for i := range g.Data {
		g.Data[i] = 1
	}
	if err := e.AddGradients(g, 1); err != nil {
		t.Fatal(err)
	}
	plan := &Plan{Version: PlanVersion, Model: FingerprintOf("gpt2", set), Decisions: []Decision{
		{Dim: "layer.0.qk", Units: 2, Keep: 1, Kept: [][]int{{0}}},
		{Dim: "layer.0.ffn", Units: 2, Keep: 1, Kept: [][]int{{0}}},
	}}
	zeros, err := Uncoupled(set, e, plan)
	if err != nil {
		t.Fatal(err)
	}
	want := []Zero{ // equal rows of in: the last one goes
		{"layer.0.q", []int{1}}, {"layer.0.k", []int{0}}, {"layer.0.q_bias", []int{1}}, {"layer.0.k_bias", []int{0}},
		{"layer.0.in", []int{1}}, {"layer.0.in_bias", []int{1}}, {"layer.0.out", []int{1}},
	}
	if !reflect.DeepEqual(zeros, want) {
		t.Errorf("zeros are %v, expected %v", zeros, want)
	}
	if err := SetZero(set, zeros); err != nil {
		t.Fatal(err)
	}
	if got := set.Param("layer.0.q").Data(); !reflect.DeepEqual(got, []float32{3, 4, 0, 0}) {
		t.Errorf("q is %v, expected its second row zeroed", got)
	}
	if got := set.Param("layer.0.k_bias").Data(); !reflect.DeepEqual(got, []float32{0, 1}) {
		t.Errorf("the bias of k is %v, expected [0 1]", got)
	}
}

// TestUncoupledDropsAsMany rows of every matrix, in every query head, as the plan
// drops units.
func TestUncoupledDropsAsMany(t *testing.T) {
	for _, z := range []sizes{small, gpt, grouped} {
		set := z.set(t)
		e := NewEvidence(set, Options{Squares: true})
		watch(t, e, 1, 1, 3)
		plan, err := MakePlan(Request{
			Set: set, Family: "f", Evidence: e, Budget: Budget{Params: set.Count() * 6 / 10},
			Config: configOf(func(c *Config) { c.Criterion = "fisher-diag" }),
		})
		if err != nil {
			t.Fatal(err)
		}
		zeros, err := Uncoupled(set, e, plan)
		if err != nil {
			t.Fatal(err)
		}
		rows := map[string]int{}
		for _, zero := range zeros {
			p := set.Param(zero.Param)
			rows[zero.Param] = len(zero.Rows)
			if p.Dims[len(p.Dims)-1].Name != "embed" {
				delete(rows, zero.Param)
			}
		}
		want := map[string]int{}
		pair := 1
		if z.rope {
			pair = 2
		}
		for _, d := range plan.Decisions {
			n := d.Units - d.Keep
			if n == 0 {
				continue
			}
			name := func(s string) string { return param.InLayer(d.Layer, s) }
			switch d.Kind {
			case QK:
				want[name("q")], want[name("k")] = n*pair*z.kv*z.r, n*pair*z.kv
			case VO:
				want[name("v")], want[name("o")] = n*z.kv, n*z.kv*z.r
			case FFN:
				in := []string{"in", "out"}
				if z.gated {
					in = []string{"gate", "up", "down"}
				}
				for _, s := range in {
					want[name(s)] = n
				}
			}
		}
		if !reflect.DeepEqual(rows, want) {
			t.Errorf("zeroed rows are %v, expected %v", rows, want)
		}
	}
}

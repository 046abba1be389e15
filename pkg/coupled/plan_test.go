package coupled

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

func planFor(t testing.TB, set *param.Set, share float64, seed uint64) *Plan {
	t.Helper()
	c := DefaultConfig()
	c.Kinds = []Kind{QK, VO, FFN, Head}
	p, err := newProblem(Request{Set: set, Config: c})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := MakePlan(Request{
		Set: set, Family: "llama", Config: c, Evidence: seen(t, set, Options{}, 3, seed),
		Budget: Budget{Params: p.least() + int(share*float64(set.Count()-p.least()))},
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestPlanRoundTrip(t *testing.T) {
	set := small.set(t)
	plan := planFor(t, set, 0.5, 1)
	var file bytes.Buffer
	if err := WritePlan(&file, plan); err != nil {
		t.Fatal(err)
	}
	back, err := ReadPlan(&file)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(plan, back) {
		t.Errorf("read %+v, wrote %+v", back, plan)
	}
	if err := back.Validate("llama", set); err != nil {
		t.Error(err)
	}
}

// TestPlanOfAnotherModel is refused by name and shape.
func TestPlanOfAnotherModel(t *testing.T) {
	plan := planFor(t, small.set(t), 0.5, 1)
	wide, deep := small, small
	wide.ffn, deep.layers = 14, 4
	pruned := small.set(t)
	if err := pruned.Shrink(plan.Cut()); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		err  error
		says string
	}{
		"family": {plan.Validate("gpt2", small.set(t)), `family "llama", this one is "gpt2"`},
		"width":  {plan.Validate("llama", wide.set(t)), "layer.0.down is [14 7], it expects [12 7]"},
		"depth":  {plan.Validate("llama", deep.set(t)), "layer.3.down [12 7] that it does not know"},
		"pruned": {plan.Validate("llama", pruned), "it expects"},
	} {
		if !errors.Is(tc.err, ErrPlan) || !strings.Contains(tc.err.Error(), tc.says) {
			t.Errorf("%s: error is %v, expected one that says %q", name, tc.err, tc.says)
		}
	}
}

func TestDamagedPlansAreRefused(t *testing.T) {
	set := small.set(t)
	for name, harm := range map[string]func(p *Plan){
		"twice":   func(p *Plan) { p.Decisions = append(p.Decisions, p.Decisions[0]) },
		"range":   func(p *Plan) { p.Decisions[0].Kept[0][0] = 99 },
		"keep":    func(p *Plan) { p.Decisions[1].Keep++ },
		"dim":     func(p *Plan) { p.Decisions[0].Dim = "embed" },
		"version": func(p *Plan) { p.Version = 2 },
		"lists":   func(p *Plan) { p.Decisions[0].Kept = p.Decisions[0].Kept[:1] },
	} {
		p := planFor(t, set, 0.3, 1)
		harm(p)
		if err := p.Validate("llama", set); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: error is %v, expected ErrPlan", name, err)
		}
	}
}

// TestCompositionLaw: applying p then q leaves the same weights, moments and
// origins as applying both at once.
func TestCompositionLaw(t *testing.T) {
	for seed := range uint64(20) {
		z := sizes{layers: 3, kv: 3, r: 2, qk: 4, vo: 5, ffn: 12, embed: 7, rope: true, gated: true}
		one, two := z.set(t), z.set(t)
		p := planFor(t, one, 0.6, seed)
		mid := z.set(t)
		if err := mid.Shrink(p.Cut()); err != nil {
			t.Fatal(err)
		}
		q := planFor(t, mid, 0.4, seed+100)
		both, err := Compose(two, p.Cut(), q.Cut())
		if err != nil {
			t.Fatal(err)
		}
		if err := one.Shrink(p.Cut()); err != nil {
			t.Fatal(err)
		}
		if err := one.Shrink(q.Cut()); err != nil {
			t.Fatal(err)
		}
		if err := two.Shrink(both); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(one.Weights.Data, two.Weights.Data) {
			t.Fatalf("seed %d: weights differ", seed)
		}
		for _, g := range Groups(one) {
			if !reflect.DeepEqual(one.Origin(g.Dim), two.Origin(g.Dim)) {
				t.Errorf("seed %d: origins of %s are %v and %v", seed, g, one.Origin(g.Dim), two.Origin(g.Dim))
			}
		}
		if one.Count() != q.After {
			t.Errorf("seed %d: %d parameters, the second plan says %d", seed, one.Count(), q.After)
		}
	}
}

func TestComposeRefuses(t *testing.T) {
	set := small.set(t)
	first := param.Cut{"layer.0.kv": {{1}}, "layer.0.ffn": {{0, 1, 2}}}
	for name, second := range map[string]param.Cut{
		"lists":   {"layer.0.qk": {{0}, {1}}},
		"range":   {"layer.0.ffn": {{3}}},
		"unknown": {"layer.7.ffn": {{0}}},
		"empty":   {"layer.0.ffn": {{}}},
	} {
		if _, err := Compose(set, first, second); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestEmptyPlan: a budget that is met already removes nothing.
func TestEmptyPlan(t *testing.T) {
	set := small.set(t)
	plan := planFor(t, set, 1, 1)
	if !plan.Empty() || plan.After != set.Count() {
		t.Errorf("plan leaves %d of %d parameters, expected all", plan.After, set.Count())
	}
}

func TestTable(t *testing.T) {
	plan := planFor(t, small.set(t), 0.5, 1)
	rows, units := plan.Rows(), 0
	for _, r := range rows {
		if r.Kind == VO {
			units += r.Units * r.Lists
		}
	}
	if len(rows) != 12 || plan.Totals()[1].Units != units || units != 30 {
		t.Errorf("%d rows and %d vo units, expected 12 and 30", len(rows), units)
	}
}

func FuzzReadPlan(f *testing.F) {
	set := small.set(f)
	var file bytes.Buffer
	if err := WritePlan(&file, planFor(f, set, 0.5, 1)); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add([]byte(`{"version":1,"decisions":[{"dim":"layer.0.ffn","units":12,"keep":1,"kept":[[5]]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ReadPlan(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, ErrPlan) {
				t.Errorf("error %v is no ErrPlan", err)
			}
			return
		}
		if p.Validate("llama", set) == nil {
			s := small.set(t)
			if err := s.Shrink(p.Cut()); err != nil {
				t.Errorf("a plan that was found valid does not apply: %v", err)
			}
		}
	})
}

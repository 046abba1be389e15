package coupled

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// flatScores gives every unit of every group the score that value says.
func flatScores(set *param.Set, value func(g Group, list, unit int) float64) Scores {
	s := Scores{}
	for _, g := range Groups(set) {
		t := g.Table()
		for l := range t {
			for u := range t[l] {
				t[l][u] = value(g, l, u)
			}
		}
		s[g.Dim] = t
	}
	return s
}

func configOf(edit func(c *Config)) Config {
	c := DefaultConfig()
	edit(&c)
	return c
}

func widths(p *Plan) map[string]int {
	w := map[string]int{}
	for _, d := range p.Decisions {
		w[d.Dim] = d.Keep
	}
	return w
}

// TestGlobalByHand: two feed-forward groups, 2 parameters a unit (width 1). The
// three cheapest units go; ties and order within a group do not matter.
func TestGlobalByHand(t *testing.T) {
	z := sizes{layers: 2, kv: 1, r: 1, qk: 1, vo: 1, ffn: 4, embed: 1}
	set := z.set(t)
	scores := flatScores(set, func(g Group, _, u int) float64 { return 1 })
	scores["layer.0.ffn"][0] = []float64{5, 1, 9, 2}
	scores["layer.1.ffn"][0] = []float64{8, 7, 3, 6}
	plan, err := MakePlan(Request{
		Set: set, Scores: scores, Budget: Budget{Params: set.Count() - 6},
		Config: configOf(func(c *Config) { c.Kinds = []Kind{FFN} }),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := param.Cut{"layer.0.ffn": {{0, 2}}, "layer.1.ffn": {{0, 1, 3}}}
	if got := plan.Cut(); !reflect.DeepEqual(got, want) {
		t.Errorf("cut is %v, expected %v", got, want)
	}
	d := plan.Decisions[0]
	if math.Abs(d.Removed-3.0/17) > 1e-12 || d.Before != 8 || d.After != 4 {
		t.Errorf("decision is %+v, expected 3/17 of the mass removed and 8 to 4 parameters", d)
	}
}

// TestGlobalIsPerParameter: a qk step of two heads frees 2*(R+1) = 6 rows; its
// scores sum to 5.9, so it goes before a feed-forward unit of 2 rows at 2.
func TestGlobalIsPerParameter(t *testing.T) {
	set := sizes{layers: 1, kv: 2, r: 2, qk: 2, vo: 1, ffn: 2, embed: 1}.set(t)
	scores := flatScores(set, func(Group, int, int) float64 { return 100 })
	scores["layer.0.qk"] = [][]float64{{2.9, 9}, {9, 3}}
	scores["layer.0.ffn"][0] = []float64{2, 50}
	plan, err := MakePlan(Request{Set: set, Scores: scores, Budget: Budget{Params: set.Count() - 1}, Config: DefaultConfig()})
	if err != nil {
		t.Fatal(err)
	}
	want := param.Cut{"layer.0.qk": {{1}, {0}}}
	if got := plan.Cut(); !reflect.DeepEqual(got, want) {
		t.Errorf("cut is %v, expected %v", got, want)
	}
}

// TestUniformRemovesTheSameShare in every group, within one unit.
func TestUniformRemovesTheSameShare(t *testing.T) {
	set := sizes{layers: 3, kv: 2, r: 1, qk: 10, vo: 20, ffn: 40, embed: 4}.set(t)
	e := seen(t, set, Options{}, 3, 1)
	plan, err := MakePlan(Request{
		Set: set, Evidence: e, Budget: Budget{Params: set.Count() - Prunable(set)*45/100},
		Config: configOf(func(c *Config) { c.Allocation = "uniform" }),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range plan.Decisions {
		if share := 1 - float64(d.Keep)/float64(d.Units); math.Abs(share-0.45) > 1/float64(d.Units)+1e-9 {
			t.Errorf("%s loses %g of its units, expected 0.45 within one unit of %d", d.Dim, share, d.Units)
		}
	}
}

// TestConstraints: skipped layers, floors, multiples and kinds are kept to.
func TestConstraints(t *testing.T) {
	set := sizes{layers: 3, kv: 2, r: 2, qk: 8, vo: 16, ffn: 48, embed: 4, rope: true, gated: true}.set(t)
	e := seen(t, set, Options{}, 3, 1)
	for _, a := range []string{"uniform", "global"} {
		c := configOf(func(c *Config) {
			c.Allocation, c.SkipLayers, c.RoundTo, c.MinKeep, c.Floor = a, []int{1}, 8, 5, 0.25
		})
		p, err := newProblem(Request{Set: set, Config: c})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := MakePlan(Request{Set: set, Evidence: e, Budget: Budget{Params: p.least()}, Config: c})
		if err != nil {
			t.Fatal(err)
		}
		// 8 rows are 4 rotation pairs; 5 units round up to 8 of both qk pairs and vo; 0.25 of 48 is 12, up to 16.
		want := map[string]int{}
		for _, n := range []string{"0", "2"} {
			want["layer."+n+".qk"], want["layer."+n+".vo"], want["layer."+n+".ffn"] = 8, 8, 16
		}
		if got := widths(plan); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: widths are %v, expected %v", a, got, want)
		}
	}
}

// TestRatio: each kind loses its own share of its units.
func TestRatio(t *testing.T) {
	set := sizes{layers: 2, kv: 4, r: 1, qk: 10, vo: 10, ffn: 40, embed: 4}.set(t)
	e := seen(t, set, Options{}, 3, 1)
	c := configOf(func(c *Config) { c.Ratio = map[Kind]float64{QK: 0.3, FFN: 0.5, Head: 0.25} })
	goal, err := c.Goal(set, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := MakePlan(Request{Set: set, Evidence: e, Budget: goal.At(1), Config: c})
	if err != nil {
		t.Fatal(err)
	}
	kept := map[Kind]int{}
	for _, r := range plan.Totals() {
		kept[r.Kind] = r.Keep
	}
	heads := kept[Head]
	if heads != 6 || kept[FFN] != 40 || kept[VO] != 0 {
		t.Errorf("kept %v, expected 6 of 8 heads, 40 of 80 hidden channels, vo untouched", kept)
	}
	if err := set.Shrink(plan.Cut()); err != nil {
		t.Fatal(err)
	}
	qk := 0
	for _, g := range Groups(set) {
		if g.Kind == QK {
			qk += g.Lists * g.Units
		}
	}
	if most := 80 - 24; qk > most || qk <= most-4 {
		t.Errorf("%d qk units are left, expected at most %d, within one step of 4", qk, most)
	}
}

// TestUniformLayout: the same widths everywhere and the same rotation pairs.
func TestUniformLayout(t *testing.T) {
	set := small.set(t)
	e := seen(t, set, Options{}, 4, 9)
	for _, a := range []string{"uniform", "global"} {
		plan, err := MakePlan(Request{
			Set: set, Evidence: e, Budget: Budget{Params: set.Count() * 6 / 10},
			Config: configOf(func(c *Config) { c.Allocation, c.Layout = a, LayoutUniform }),
		})
		if err != nil {
			t.Fatal(err)
		}
		first := map[Kind]Decision{}
		for _, d := range plan.Decisions {
			if _, ok := first[d.Kind]; !ok {
				first[d.Kind] = d
			}
			f := first[d.Kind]
			if d.Keep != f.Keep {
				t.Errorf("%s: %s keeps %d units, layer 0 %d", a, d.Dim, d.Keep, f.Keep)
			}
			for _, k := range d.Kept {
				if d.Kind == QK && !reflect.DeepEqual(k, f.Kept[0]) {
					t.Errorf("%s: %s keeps pairs %v, layer 0 %v", a, d.Dim, k, f.Kept[0])
				}
			}
		}
	}
}

// TestHeadsOfOneWidth: where v is as wide as q and k it stays so, with the same
// pairs everywhere; feed-forward widths may differ under one-head.
func TestHeadsOfOneWidth(t *testing.T) {
	z := small
	z.vo = 2 * z.qk
	for _, layout := range []string{LayoutHeads, LayoutUniform} {
		for _, ratio := range []map[Kind]float64{nil, {QK: 0.5, VO: 0.5}} {
			for _, a := range []string{"uniform", "global"} {
				set := z.set(t)
				r := Request{
					Set: set, Evidence: seen(t, set, Options{}, 4, 9), Budget: Budget{Params: set.Count() * 6 / 10},
					Config: configOf(func(c *Config) { c.Allocation, c.Layout, c.Ratio = a, layout, ratio }),
				}
				if ratio != nil {
					r.Budget = Budget{Units: map[Kind]int{QK: z.layers * z.kv * z.qk / 2, VO: z.layers * z.kv * z.vo / 2}}
				}
				plan, err := MakePlan(r)
				if err != nil {
					t.Fatal(err)
				}
				if ratio == nil && (plan.After > r.Budget.Params || plan.After < r.Budget.Params*8/10) {
					t.Errorf("%s, %s: %d parameters, expected at most %d and not far below", layout, a, plan.After, r.Budget.Params)
				}
				widths := map[int]bool{}
				for _, d := range plan.Decisions {
					pairs := plan.Decisions[0]
					switch {
					case d.Kind == VO && d.Keep != 2*pairs.Keep, d.Kind == QK && d.Keep != pairs.Keep, ratio != nil && d.Kind == QK && d.Keep != z.qk/2:
						t.Errorf("%s, %s, %v: %s keeps %d units, layer 0 %d pairs", layout, a, ratio, d.Dim, d.Keep, pairs.Keep)
					case d.Kind == QK && !reflect.DeepEqual(d.Kept, pairs.Kept):
						t.Errorf("%s, %s, %v: %s keeps %v, layer 0 %v", layout, a, ratio, d.Dim, d.Kept, pairs.Kept)
					case d.Kind == FFN:
						widths[d.Keep] = true
					}
				}
				if differ := len(widths) > 1; ratio == nil && a == "global" && differ != (layout == LayoutHeads) {
					t.Errorf("%s: feed-forward widths %v", layout, widths)
				}
			}
		}
	}
	_, err := MakePlan(Request{
		Set: z.set(t), Budget: Budget{Units: map[Kind]int{QK: 12}},
		Config: configOf(func(c *Config) { c.Layout, c.Ratio = LayoutHeads, map[Kind]float64{QK: 0.5, VO: 0.25} }),
	})
	if err == nil || !strings.Contains(err.Error(), "qk 0.5 and vo 0.25") {
		t.Errorf("unequal ratios under one-head: %v", err)
	}
}

func TestPerLayerLayout(t *testing.T) {
	set := small.set(t)
	e := seen(t, set, Options{}, 4, 9)
	plan, err := MakePlan(Request{
		Set: set, Evidence: e, Budget: Budget{Params: set.Count() / 2},
		Config: configOf(func(c *Config) { c.Layout = LayoutPerLayer }),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range plan.Decisions {
		if d.Kind == QK && !reflect.DeepEqual(d.Kept[0], d.Kept[1]) {
			t.Errorf("%s keeps pairs %v and %v in its heads", d.Dim, d.Kept[0], d.Kept[1])
		}
	}
}

// quadratic is a loss with a known best division: 1 + sum over groups of
// weight * (removed share)^2.
func quadratic(set *param.Set, weight map[string]float64, calls *int) func(param.Cut) (float64, error) {
	return func(c param.Cut) (float64, error) {
		*calls++
		loss := 1.0
		for dim, keep := range c {
			x := 1 - float64(len(keep[0]))/float64(set.Dim(dim).Size)
			loss += weight[dim] * x * x
		}
		return loss, nil
	}
}

// each is the losses of several cuts from that of one.
func each(loss func(param.Cut) (float64, error)) func([]param.Cut) ([]float64, error) {
	return func(cuts []param.Cut) (out []float64, err error) {
		for _, c := range cuts {
			x, err := loss(c)
			if err != nil {
				return nil, err
			}
			out = append(out, x)
		}
		return out, nil
	}
}

// TestSensitivityFindsTheBestDivision of a budget over quadratic curves, against
// every other division of it.
func TestSensitivityFindsTheBestDivision(t *testing.T) {
	set := sizes{layers: 2, kv: 1, r: 1, qk: 1, vo: 1, ffn: 32, embed: 4}.set(t)
	calls := 0
	loss := quadratic(set, map[string]float64{"layer.0.ffn": 1, "layer.1.ffn": 3}, &calls)
	cost := Groups(set)[2].Cost
	const gone = 28
	r := Request{
		Set: set, Scores: flatScores(set, func(g Group, l, u int) float64 { return float64(u) }), Losses: each(loss),
		Budget: Budget{Params: set.Count() - gone*cost},
		Config: configOf(func(c *Config) { c.Kinds, c.Allocation = []Kind{FFN}, "sensitivity" }),
	}
	plan, err := MakePlan(r)
	if err != nil {
		t.Fatal(err)
	}
	if calls != 13 {
		t.Errorf("%d evaluations, expected 13", calls)
	}
	got, _ := loss(plan.Cut())
	best := math.Inf(1)
	for a := 0; a <= gone; a++ {
		x, y := float64(a)/32, float64(gone-a)/32
		best = min(best, 1+x*x+3*y*y)
	}
	if got > best+1e-9 {
		t.Errorf("loss of the plan is %g, the best division has %g: %v", got, best, widths(plan))
	}
	if n := len(plan.Decisions[0].Curve); n != 7 {
		t.Errorf("the plan records %d points of the curve, expected 7", n)
	}
}

func TestSensitivityIsBounded(t *testing.T) {
	set := small.set(t) // 9 groups
	calls := 0
	r := Request{
		Set: set, Scores: flatScores(set, func(g Group, l, u int) float64 { return float64(u) }),
		Losses: each(quadratic(set, map[string]float64{"layer.0.qk": 1}, &calls)), Budget: Budget{Params: set.Count() / 2},
		Config: configOf(func(c *Config) { c.Allocation, c.Evaluations = "sensitivity", 20 }),
	}
	if _, err := MakePlan(r); err != nil || calls > 20 {
		t.Errorf("%d evaluations and error %v, expected at most 20", calls, err)
	}
	r.Config.Evaluations = 9
	if _, err := MakePlan(r); err == nil || !strings.Contains(err.Error(), "at least 10") {
		t.Errorf("error is %v, expected one that names the least number of evaluations, 10", err)
	}
	r.Losses = nil
	r.Config.Evaluations = 100
	if _, err := MakePlan(r); !errors.Is(err, ErrEvidence) {
		t.Errorf("without a loss the error is %v", err)
	}
}

// TestAutoKeepsTheBest: a loss that only sensitivity can see is chosen by it.
func TestAutoKeepsTheBest(t *testing.T) {
	set := small.set(t)
	calls := 0
	loss := quadratic(set, map[string]float64{"layer.0.qk": 9, "layer.1.ffn": 5, "layer.2.vo": 7}, &calls)
	plan, err := MakePlan(Request{
		Set: set, Evidence: seen(t, set, Options{}, 4, 2), Losses: each(loss), Held: each(loss), Budget: Budget{Params: set.Count() * 6 / 10},
		Config: configOf(func(c *Config) { c.Allocation = "auto" }),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Trials) != 3 || plan.Trials[2].Allocation != "sensitivity" {
		t.Fatalf("trials are %v, expected uniform, global, sensitivity", plan.Trials)
	}
	got, _ := loss(plan.Cut())
	for _, tr := range plan.Trials {
		if got > tr.Loss {
			t.Errorf("the plan's loss is %g, but %s had %g", got, tr.Allocation, tr.Loss)
		}
	}
	if plan.Trials[2].Loss >= plan.Trials[0].Loss {
		t.Errorf("trials are %v, expected sensitivity below uniform", plan.Trials)
	}
}

func TestLossFailuresAreNamed(t *testing.T) {
	set := small.set(t)
	broken, value := errors.New("broken"), math.NaN()
	p, err := newProblem(Request{
		Set: set, Scores: flatScores(set, func(Group, int, int) float64 { return 1 }), Config: DefaultConfig(),
		Losses: each(func(c param.Cut) (float64, error) {
			if _, ok := c["layer.1.vo"]; !ok {
				return 1, nil
			}
			if value == 0 {
				return 0, broken
			}
			return value, nil
		}),
	})
	if err == nil {
		err = p.rank()
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.measure()
	if !errors.Is(err, ErrEvidence) || !strings.Contains(err.Error(), "layer 1 vo") {
		t.Errorf("error is %v, expected one that names layer 1 vo", err)
	}
	value = 0
	if _, err = p.measure(); !errors.Is(err, broken) {
		t.Errorf("error is %v, expected what the measuring says", err)
	}
}

func TestLowerHull(t *testing.T) {
	got := lowerHull([]float64{0, 3, 2, 2, 8, 9})
	want := []float64{0, 2.0 / 3, 4.0 / 3, 2, 5.5, 9}
	if fmt.Sprintf("%.6f", got) != fmt.Sprintf("%.6f", want) {
		t.Errorf("hull is %v, expected %v", got, want)
	}
}

// TestInteractionsByHand: units 0 and 1 cancel (r = 1, -1), 2 and 3 double up (r = 0.8, 0.8):
// alone 2 and 3 look cheaper, together the removal of 0 and 1 costs nothing.
func TestInteractionsByHand(t *testing.T) {
	set := sizes{layers: 1, kv: 1, r: 1, qk: 4, vo: 1, ffn: 1, embed: 1}.set(t)
	e := NewEvidence(set, Options{Interactions: []Kind{QK}})
	for _, r := range [][]float32{{1, -1, 0.8, 0.8}, {-1, 1, 0.8, 0.8}} {
		if err := e.Add("layer.0.qk", r, 1); err != nil {
			t.Fatal(err)
		}
		for dim, n := range map[string]int{"layer.0.vo": 1, "layer.0.ffn": 1} {
			if err := e.Add(dim, make([]float32, n), 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	for kind, want := range map[string][]int{OrderScore: {0}, OrderInteractions: {2}} {
		c := configOf(func(c *Config) { c.QKOrder, c.Ratio = kind, map[Kind]float64{QK: 0.75} })
		goal, err := c.Goal(set, nil)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := MakePlan(Request{Set: set, Evidence: e, Config: c, Budget: goal.At(1)})
		if err != nil {
			t.Fatal(err)
		}
		if got := plan.Cut()["layer.0.qk"][0]; !reflect.DeepEqual(got, want) {
			t.Errorf("order %s keeps %v, expected %v", kind, got, want)
		}
	}
}

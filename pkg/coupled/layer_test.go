package coupled

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// layerScores gives whole layers scores, beside those of units.
func layerScores(s Scores, of ...float64) Scores {
	for l, x := range of {
		s[param.WholeLayer(l)] = [][]float64{{x}}
	}
	return s
}

func ones(g Group, _, _ int) float64 { return 1 }

// TestLayersByScore: the layers with the lowest scores go until the budget is met, whatever
// the allocation, and one stays.
func TestLayersByScore(t *testing.T) {
	z := sizes{layers: 4, kv: 1, r: 1, qk: 1, vo: 1, ffn: 4, embed: 2}
	set := z.set(t)
	scores := layerScores(flatScores(set, ones), 3, 1, 4, 2)
	each := LayerGroups(set)[0].Cost
	for _, allocation := range []string{"uniform", "global"} {
		for n, want := range []param.Cut{{}, {param.WholeLayer(1): {{}}}, {param.WholeLayer(1): {{}}, param.WholeLayer(3): {{}}}} {
			plan, err := MakePlan(Request{
				Set: set, Scores: scores, Budget: Budget{Params: set.Count() - n*each},
				Config: configOf(func(c *Config) { c.Kinds, c.Allocation = []Kind{Layer}, allocation }),
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := plan.Cut(); len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) || plan.After != set.Count()-n*each {
				t.Errorf("%s: cut is %v to %d parameters, expected %v", allocation, got, plan.After, want)
			}
			var file bytes.Buffer
			if err := WritePlan(&file, plan); err != nil {
				t.Fatal(err)
			}
			back, err := ReadPlan(&file)
			if err != nil || !reflect.DeepEqual(back.Cut(), plan.Cut()) || back.Validate(plan.Model.Family, set) != nil {
				t.Errorf("the plan reads back as %v (%v)", back, err)
			}
		}
	}
	_, err := MakePlan(Request{
		Set: set, Scores: scores, Budget: Budget{Params: set.Count() - 4*each},
		Config: configOf(func(c *Config) { c.Kinds = []Kind{Layer} }),
	})
	if !errors.Is(err, ErrBudget) {
		t.Errorf("all layers go: %v", err)
	}
}

// TestLayersAndWidthsBySensitivity: losses add up as measured; a layer that costs little goes
// whole, widths of the others pay for the rest, and no unit of the layer is paid for twice.
func TestLayersAndWidthsBySensitivity(t *testing.T) {
	z := sizes{layers: 3, kv: 1, r: 1, qk: 1, vo: 1, ffn: 10, embed: 2}
	set := z.set(t)
	scores := layerScores(flatScores(set, ones), 1, 1, 1)
	whole := []float64{5, 0.3, 5} // nats that a layer costs
	ffn := []float64{1, 1, 0.2}   // that all of its channels cost, as the square of their share
	var asked int
	losses := func(cuts []param.Cut) ([]float64, error) {
		asked += len(cuts)
		out := make([]float64, len(cuts))
		for i, c := range cuts {
			out[i] = 2
			for l := range whole {
				share := 0.0
				if keep, ok := c[param.InLayer(l, "ffn")]; ok {
					share = 1 - float64(len(keep[0]))/10
				}
				if c.Removes(l) {
					out[i] += whole[l]
				} else {
					out[i] += ffn[l] * share * share
				}
			}
		}
		return out, nil
	}
	each := LayerGroups(set)[0].Cost
	request := func(allocation string, params int) Request {
		return Request{
			Set: set, Scores: scores, Budget: Budget{Params: params}, Losses: losses, Held: losses,
			Config: configOf(func(c *Config) { c.Kinds, c.Allocation = []Kind{FFN, Layer}, allocation }),
		}
	}
	plan, err := MakePlan(request("sensitivity", set.Count()-each))
	if err != nil {
		t.Fatal(err)
	}
	cut := plan.Cut()
	if !cut.Removes(1) || len(cut) != 1 || asked != 1+3*6+3 {
		t.Errorf("cut is %v after %d trials, expected layer 1 only", cut, asked)
	}
	if plan, err = MakePlan(request("sensitivity", set.Count()-each-12)); err != nil {
		t.Fatal(err)
	}
	cut = plan.Cut()
	if got, _ := losses([]param.Cut{cut}); !cut.Removes(1) || len(cut) < 2 || plan.After > set.Count()-each-12 || got[0] > 2.3+0.02 {
		t.Errorf("cut is %v at a loss of %g", cut, got[0])
	}
	for _, d := range plan.Decisions {
		if d.Layer == 1 && d.Kind != Layer {
			t.Errorf("a layer that goes has a decision about its widths: %+v", d)
		}
	}
	whole[1] = 50 // now widths are better, which auto finds
	if plan, err = MakePlan(request("auto", set.Count()-40)); err != nil {
		t.Fatal(err)
	}
	if cut = plan.Cut(); len(cut.Left(3)) != 3 {
		t.Errorf("auto removes layers %v, tried %+v", cut, plan.Trials)
	}
	if n := len(plan.Trials); n != 4 {
		t.Errorf("auto tried %+v", plan.Trials)
	}
}

// TestLayerRatio: a share of the layers goes, and of what stays a share of the channels.
func TestLayerRatio(t *testing.T) {
	z := sizes{layers: 4, kv: 1, r: 1, qk: 1, vo: 1, ffn: 8, embed: 2}
	set := z.set(t)
	c := configOf(func(c *Config) { c.Ratio = map[Kind]float64{Layer: 0.5, FFN: 0.75} })
	goal, err := c.Goal(set, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := MakePlan(Request{Set: set, Scores: layerScores(flatScores(set, ones), 1, 2, 3, 4), Budget: goal.At(1), Config: c})
	if err != nil {
		t.Fatal(err)
	}
	cut := plan.Cut()
	if got := fmt.Sprint(cut.Left(4)); got != "[2 3]" || len(cut[param.InLayer(2, "ffn")][0])+len(cut[param.InLayer(3, "ffn")][0]) != 8 {
		t.Errorf("layers %s stay: %v", got, cut)
	}
}

// TestCriteriaOfLayers: criteria that score a layer by nothing sensible are refused by name.
func TestCriteriaOfLayers(t *testing.T) {
	for _, name := range Criteria() {
		c := configOf(func(c *Config) { c.Kinds, c.Criterion = []Kind{Layer}, name })
		err := c.Validate()
		switch name {
		case "fisher", "taylor", "fisher-diag", "random", "influence":
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		default:
			if err == nil || !strings.Contains(err.Error(), "does not score whole layers") || !strings.Contains(err.Error(), "influence") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestEvidenceLosesALayer: what was seen of the layers that stay is theirs under their new
// numbers; it is written and read back.
func TestEvidenceLosesALayer(t *testing.T) {
	set := small.set(t)
	e := NewEvidence(set, Options{WholeLayers: true, Activations: true, Gains: true, Scale: 1})
	for _, dim := range e.Gates() {
		s := e.gates[dim]
		for n := range 3 {
			r := make([]float32, s.lists*s.units)
			for i := range r {
				r[i] = float32(s.layer*100+n) + 0.1*float32(i)
			}
			if err := e.Add(dim, r, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	before, err := Score("fisher", &Context{Set: set, Evidence: e}, groupsOf(set, Kinds()))
	if err != nil {
		t.Fatal(err)
	}
	cut := param.Cut{param.WholeLayer(1): {{}}, "layer.2.ffn": {{0, 3}}}
	if err := e.Shrink(cut); err != nil {
		t.Fatal(err)
	}
	if err := set.Shrink(cut); err != nil {
		t.Fatal(err)
	}
	after, err := Score("fisher", &Context{Set: set, Evidence: e}, groupsOf(set, Kinds()))
	if err != nil {
		t.Fatal(err)
	}
	for dim, was := range map[string]string{"layer.0.qk": "layer.0.qk", "layer.1.vo": "layer.2.vo", "layer.1.kv": "layer.2.kv", param.WholeLayer(1): param.WholeLayer(2)} {
		if !reflect.DeepEqual(after[dim], before[was]) {
			t.Errorf("%s scores %v, as %s it scored %v", dim, after[dim], was, before[was])
		}
	}
	if got, want := after["layer.1.ffn"][0], before["layer.2.ffn"][0]; got[0] != want[0] || got[1] != want[3] {
		t.Errorf("channels score %v, before %v", got, want)
	}
	var file bytes.Buffer
	if err := e.Save(&file, "x", set); err != nil {
		t.Fatal(err)
	}
	back, err := LoadEvidence(bytes.NewReader(file.Bytes()), int64(file.Len()), "x", set, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Score("fisher", &Context{Set: set, Evidence: back}, groupsOf(set, Kinds()))
	if err != nil || !reflect.DeepEqual(again, after) {
		t.Errorf("read back: %v", err)
	}
}

// TestInfluenceByHand: one layer turns rows by a right angle, one by none, the third by 60
// degrees.
func TestInfluenceByHand(t *testing.T) {
	z := small
	z.embed = 2
	set := z.set(t)
	e := NewEvidence(set, Options{WholeLayers: true, Kinds: []string{influenceKind}})
	third := float32(math.Sqrt(3) / 2)
	for _, pass := range []float32{1, 7} { // lengths do not matter
		for site, x := range [][]float32{{1, 0, 0, 2}, {0, 1, -2, 0}, {0, 3, -1, 0}, {third, 0.5, -0.5, third}} {
			name := param.InLayer(site, "input")
			if site == 3 {
				name = "output"
			}
			for i := range x {
				x[i] *= pass
			}
			for row := range 2 { // rows of a site may come in several calls
				if err := e.Observe(name, x[2*row:][:2], 1, 1); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	scores, err := Score("influence", &Context{Set: set, Evidence: e}, LayerGroups(set))
	if err != nil {
		t.Fatal(err)
	}
	for l, want := range []float64{1, 0, 0.5} {
		if got := scores[param.WholeLayer(l)][0][0]; math.Abs(got-want) > 1e-7 {
			t.Errorf("layer %d has an influence of %g, expected %g", l, got, want)
		}
	}
	if err := e.Shrink(param.Cut{param.WholeLayer(0): {{}}}); err != nil {
		t.Fatal(err)
	}
	if s := e.more[0].Value.(*influenceStat); fmt.Sprint(s.rows) != "[4 4]" || math.Abs(s.sum[1]-2) > 1e-6 {
		t.Errorf("after layer 0 is gone: %v of %v", s.sum, s.rows)
	}
}

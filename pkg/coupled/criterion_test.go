package coupled

import (
	"math"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// byHand is a model small enough to score on paper: one head with one query head, two
// qk units, one vo unit, two hidden channels, width 2, with biases on q, k, v and in.
func byHand(t *testing.T) *param.Set {
	s := sizes{layers: 1, kv: 1, r: 1, qk: 2, vo: 1, ffn: 2, embed: 2, bias: true}.set(t)
	for name, w := range map[string][]float32{
		"q": {3, 4, 1, 0}, "q_bias": {0, 2}, "k": {0, 2, 2, 2}, "k_bias": {0, 1},
		"v": {1, 2}, "v_bias": {2}, "o": {0, 5},
		"in": {1, 0, 0, 1}, "in_bias": {0, 0}, "out": {6, 8, 0, 1},
	} {
		copy(s.Param("layer.0."+name).Data(), w)
	}
	return s
}

func TestCriteriaByHand(t *testing.T) {
	s := byHand(t)
	e := NewEvidence(s, Options{Squares: true, Activations: true})
	add := func(dim string, r ...float32) {
		if err := e.Add("layer.0."+dim, r, 2); err != nil {
			t.Fatal(err)
		}
	}
	// Two sequences, gradients doubled by scale: r = (2, -4), (6, 0); 2, -4; (0, 2), (2, 2)
	add("qk", 1, -2, 3, 0)
	add("vo", 1, -2)
	add("ffn", 0, 1, 1, 1)
	observe := func(site string, x ...float32) {
		if err := e.Observe("layer.0."+site, x, 1, 2); err != nil {
			t.Fatal(err)
		}
	}
	// Two tokens; q | k | v.
	observe("qkv", 1, 0, 9, 9, 9, 1, 2, 9, 9, 9)
	observe("ctx", 3, 1)
	observe("hidden", 0, 1, 2, 1)
	grads := param.NewSlab(s.Len())
	for i := range grads.Data {
		grads.Data[i] = 0.5
	}
	if err := e.AddGradients(grads, 2); err != nil { // gradients of 1 ...
		t.Fatal(err)
	}
	if err := e.AddGradients(grads, 6); err != nil { // ... and of 3: mean square 5
		t.Fatal(err)
	}
	ctx := &Context{Set: s, Evidence: e, Seed: 1}
	root := math.Sqrt
	for _, tc := range []struct {
		criterion   string
		qk, vo, ffn []float64
		head        float64
	}{
		{criterion: "fisher", qk: []float64{20, 8}, vo: []float64{10}, ffn: []float64{2, 4}, head: 10},
		{criterion: "taylor", qk: []float64{4, 2}, vo: []float64{1}, ffn: []float64{1, 2}, head: 1},
		// |q| |k| with biases: 5*2, sqrt(5)*3; v 3, o 5; in 1, out 10 and 1; q,k,v sqrt(25+5+4+9+9), o 5
		{criterion: "magnitude", qk: []float64{10, 3 * root(5)}, vo: []float64{15}, ffn: []float64{10, 1}, head: root(52) * 5},
		// rms of q 1, sqrt 2 with rows of k; rms of the context sqrt 5; of the hidden sqrt 2, 1
		{criterion: "activation", qk: []float64{2, root(2) * 3}, vo: []float64{root(5) * 5}, ffn: []float64{root(2) * 10, 1}, head: root(5) * 5},
		// 5 times the squares of all weights of the unit
		{criterion: "fisher-diag", qk: []float64{5 * 29, 5 * 14}, vo: []float64{5 * 34}, ffn: []float64{5 * 101, 5 * 2}, head: 5 * (29 + 14 + 34)},
	} {
		scores, err := Score(tc.criterion, ctx, Groups(s))
		if err != nil {
			t.Fatal(err)
		}
		for dim, want := range map[string][]float64{"qk": tc.qk, "vo": tc.vo, "ffn": tc.ffn, "kv": {tc.head}} {
			got := scores["layer.0."+dim]
			for u, w := range want {
				if math.Abs(got[0][u]-w) > 1e-9*w {
					t.Errorf("%s of %s unit %d is %g, expected %g", tc.criterion, dim, u, got[0][u], w)
				}
			}
		}
	}
}

// TestSharedQueriesCountTogether: the rows of both query heads of a K/V head and
// of both members of a rotation pair stand on one side.
func TestSharedQueriesCountTogether(t *testing.T) {
	s := sizes{layers: 1, kv: 1, r: 2, qk: 1, vo: 1, ffn: 1, embed: 1, rope: true, gated: true}.set(t)
	copy(s.Param("layer.0.q").Data(), []float32{1, 2, 3, 4}) // squares 30
	copy(s.Param("layer.0.k").Data(), []float32{1, 1})
	copy(s.Param("layer.0.v").Data(), []float32{2})
	copy(s.Param("layer.0.o").Data(), []float32{3, 4})
	scores, err := Score("magnitude", &Context{Set: s}, Groups(s))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := scores["layer.0.qk"][0][0], math.Sqrt(60); math.Abs(got-want) > 1e-12 {
		t.Errorf("qk magnitude %g, expected %g", got, want)
	}
	if got := scores["layer.0.vo"][0][0]; math.Abs(got-10) > 1e-12 {
		t.Errorf("vo magnitude %g, expected 10", got)
	}
}

func TestRandomIsSeeded(t *testing.T) {
	s := small.set(t)
	score := func(seed uint64) float64 {
		sc, err := Score("random", &Context{Set: s, Seed: seed}, Groups(s))
		if err != nil {
			t.Fatal(err)
		}
		if sc["layer.0.qk"][0][0] == sc["layer.1.qk"][0][0] {
			t.Error("two layers have the same noise")
		}
		return sc["layer.0.qk"][0][0]
	}
	if score(1) != score(1) || score(1) == score(2) {
		t.Error("random does not follow its seed")
	}
}

func TestUnknownCriterionListsTheValidOnes(t *testing.T) {
	_, err := CriterionByName("hessian")
	want := `criterion "hessian" is unknown, expected one of activation, fisher, fisher-diag, influence, magnitude, random, taylor`
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error is %v, expected %s", err, want)
	}
}

func TestCriteriaSayWhatIsMissing(t *testing.T) {
	s := small.set(t)
	for name, says := range map[string]string{
		"fisher": "no sequence was seen", "taylor": "no sequence was seen",
		"fisher-diag": "no squared weight gradients", "activation": "no activation",
	} {
		_, err := Score(name, &Context{Set: s, Evidence: NewEvidence(s, Options{})}, Groups(s))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error is %v, expected one that says %q", name, err, says)
		}
	}
}

package coupled

import (
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

func TestGroups(t *testing.T) {
	// small: G 2, R 2, 4 rotation pairs, 5 vo units, F 12, E 7, gated, no biases.
	got := Groups(small.set(t))
	want := []Group{
		{Kind: QK, Dim: "layer.0.qk", Per: "layer.0.kv", Lists: 2, Units: 4, Cost: (2 + 1) * 2 * 7}, // 2 rows of each of R+1 matrices
		{Kind: VO, Dim: "layer.0.vo", Per: "layer.0.kv", Lists: 2, Units: 5, Cost: (1 + 2) * 7},
		{Kind: FFN, Dim: "layer.0.ffn", Lists: 1, Units: 12, Cost: 3 * 7},
		{Kind: Head, Dim: "layer.0.kv", Lists: 1, Units: 2, Cost: 4*42 + 5*21},
	}
	if len(got) != 12 {
		t.Fatalf("%d groups, expected 12", len(got))
	}
	for i, w := range want {
		g := got[i]
		g.params = nil
		if g.Kind != w.Kind || g.Dim != w.Dim || g.Per != w.Per || g.Lists != w.Lists || g.Units != w.Units || g.Cost != w.Cost {
			t.Errorf("group %d is %+v, expected %+v", i, g, w)
		}
	}
	// gpt: G 3, R 1, biases on q, k, v and in.
	for i, cost := range []int{2 * (8 + 1), 8 + 1 + 8, 8 + 1 + 8, 6*18 + 6*17} {
		if g := Groups(gpt.set(t))[i]; g.Cost != cost {
			t.Errorf("%s costs %d parameters a unit, expected %d", g, g.Cost, cost)
		}
	}
}

// TestCountIsWhatACutLeaves: predicted sizes agree with param.Set.Shrink.
func TestCountIsWhatACutLeaves(t *testing.T) {
	s := small.set(t)
	cut := param.Cut{"layer.1.kv": {{1}}, "layer.1.qk": {{0}, {2}}, "layer.2.ffn": {{1, 2}}}
	want := Count(s, map[string]int{"layer.1.kv": 1, "layer.1.qk": 1, "layer.2.ffn": 2})
	if err := s.Shrink(cut); err != nil {
		t.Fatal(err)
	}
	if s.Count() != want {
		t.Errorf("the cut leaves %d parameters, %d were predicted", s.Count(), want)
	}
}

func TestFirstLayer(t *testing.T) {
	set := small.set(t)
	if n := FirstLayer(set, param.Cut{"layer.2.qk": nil, "layer.1.ffn": nil}); n != 1 {
		t.Errorf("first layer is %d, expected 1", n)
	}
	if n := FirstLayer(set, nil); n != -1 {
		t.Errorf("first layer of no cut is %d, expected -1", n)
	}
}

func TestPrunable(t *testing.T) {
	s := gpt.set(t)
	// Everything but the embedding and the two consumers' biases of each layer.
	if want := s.Count() - 11*8 - 2*2*8; Prunable(s) != want {
		t.Errorf("%d prunable parameters, expected %d", Prunable(s), want)
	}
}

package param

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// attention is a layer with 2 K/V heads of 3 query heads each, 4 rotation
// pairs and 5 vo units a head, 6 hidden channels and width 7.
func attention(t *testing.T) *Set {
	kv := Dim{Name: "layer.0.kv", Size: 2}
	qk := Dim{Name: "layer.0.qk", Size: 4, Per: kv.Name, Track: true}
	vo := Dim{Name: "layer.0.vo", Size: 5, Per: kv.Name}
	ffn := Dim{Name: "layer.0.ffn", Size: 6}
	e := Dim{Name: "embed", Size: 7}
	r, two := Dim{Size: 3}, Dim{Size: 2}
	s, err := New([]Spec{
		{Name: "norm", Dims: []Dim{e}},
		{Name: "q", Dims: []Dim{kv, r, qk, two, e}, Block: "qkv"},
		{Name: "k", Dims: []Dim{kv, qk, two, e}, Block: "qkv"},
		{Name: "v", Dims: []Dim{kv, vo, e}, Block: "qkv"},
		{Name: "bq", Dims: []Dim{kv, r, qk, two}, Block: "b"},
		{Name: "bk", Dims: []Dim{kv, qk, two}, Block: "b"},
		{Name: "bv", Dims: []Dim{kv, vo}, Block: "b"},
		{Name: "o", Dims: []Dim{kv, r, vo, e}},
		{Name: "in", Dims: []Dim{ffn, e}},
		{Name: "out", Dims: []Dim{ffn, e}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// naive copies what a cut keeps, element by element, by multi-index.
func naive(p *Param, data []float32, c Cut) []float32 {
	var out []float32
	strides := make([]int, len(p.Dims))
	n := 1
	for i := len(p.Dims) - 1; i >= 0; i-- {
		strides[i] = n
		n *= p.Dims[i].Size
	}
	for at := 0; at < n; at++ {
		keep := true
		for i, d := range p.Dims {
			k, ok := c[d.Name]
			if !ok || d.Name == "" {
				continue
			}
			list := 0
			for j := range p.Dims[:i] {
				if d.Per != "" && p.Dims[j].Name == d.Per {
					list = at / strides[j] % p.Dims[j].Size
				}
			}
			if hk, ok := c[d.Per]; ok && d.Per != "" && !contains(hk[0], list) {
				keep = false
				break
			}
			if !contains(k[list], at/strides[i]%d.Size) {
				keep = false
			}
		}
		if keep {
			out = append(out, data[at])
		}
	}
	return out
}

func contains(l []int, x int) bool {
	for _, v := range l {
		if v == x {
			return true
		}
	}
	return false
}

func TestShrinkEqualsNaiveCopy(t *testing.T) {
	cuts := map[string]Cut{
		"nothing": {},
		"qk":      {"layer.0.qk": {{0, 3}, {1, 2}}},
		"vo ffn":  {"layer.0.vo": {{0, 1, 4}, {1, 2, 3}}, "layer.0.ffn": {{5}}},
		"head":    {"layer.0.kv": {{1}}},
		"all":     {"layer.0.kv": {{0}}, "layer.0.qk": {{2}, nil}, "layer.0.vo": {{1, 2}, nil}, "layer.0.ffn": {{0, 2, 4}}},
	}
	for name, c := range cuts {
		t.Run(name, func(t *testing.T) {
			s := attention(t)
			moment := s.NewSlab()
			for i := range moment.Data {
				moment.Data[i] = rand.Float32()
			}
			s.Init(1)
			want := map[string][2][]float32{}
			for _, p := range s.Params {
				for i := range p.Data() {
					p.Data()[i] = rand.Float32()
				}
				want[p.Name] = [2][]float32{naive(p, p.Data(), c), naive(p, p.In(moment), c)}
			}
			if err := s.Shrink(c, moment); err != nil {
				t.Fatal(err)
			}
			for _, p := range s.Params {
				if !reflect.DeepEqual(p.Data(), want[p.Name][0]) || !reflect.DeepEqual(p.In(moment), want[p.Name][1]) {
					t.Errorf("%s differs from the naive copy", p)
				}
			}
			if len(moment.Data) != s.Len() || len(s.Weights.Data) != s.Len() {
				t.Errorf("slabs have %d and %d elements, expected %d", len(moment.Data), len(s.Weights.Data), s.Len())
			}
		})
	}
}

func TestOriginComposes(t *testing.T) {
	s := attention(t)
	if err := s.Shrink(Cut{"layer.0.qk": {{0, 2, 3}, {1, 2, 3}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Shrink(Cut{"layer.0.qk": {{1, 2}, {0, 2}}, "layer.0.kv": {{1}}}); err != nil {
		t.Fatal(err)
	}
	if got := s.Origin("layer.0.qk"); !reflect.DeepEqual(got, [][]int{{1, 3}}) {
		t.Errorf("origin is %v, expected [[1 3]]", got)
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, c := range map[string]Cut{
		"unknown":    {"layer.9.qk": {{0}}},
		"empty":      {"layer.0.ffn": {{}}},
		"ragged":     {"layer.0.qk": {{0, 1}, {1}}},
		"descending": {"layer.0.ffn": {{2, 1}}},
		"range":      {"layer.0.ffn": {{6}}},
		"lists":      {"layer.0.qk": {{0}}},
	} {
		if err := attention(t).Shrink(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestSpecsRefused(t *testing.T) {
	e := Dim{Name: "e", Size: 2}
	for name, specs := range map[string][]Spec{
		"twice":     {{Name: "a", Dims: []Dim{e}}, {Name: "a", Dims: []Dim{e}}},
		"sizes":     {{Name: "a", Dims: []Dim{e}}, {Name: "b", Dims: []Dim{{Name: "e", Size: 3}}}},
		"zero":      {{Name: "a", Dims: []Dim{{Size: 0}}}},
		"overflow":  {{Name: "a", Dims: []Dim{{Size: 1 << 40}, {Size: 1 << 40}}}},
		"per":       {{Name: "a", Dims: []Dim{{Name: "x", Size: 1, Per: "y"}}}},
		"interrupt": {{Name: "a", Dims: []Dim{e}, Block: "b"}, {Name: "c", Dims: []Dim{e}}, {Name: "d", Dims: []Dim{e}, Block: "b"}},
	} {
		if _, err := New(specs); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

package param

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// layered is three layers of a pair and a gain between a table and a norm, numbered elements.
func layered(t *testing.T) *Set {
	t.Helper()
	e := Dim{Name: "embed", Size: 3}
	specs := []Spec{{Name: "embed", Layer: Outside, Role: Embed, Dims: []Dim{{Name: "vocab", Size: 5}, e}}}
	for l := range 3 {
		kv := Dim{Name: InLayer(l, "kv"), Size: 2, Kind: KV}
		qk := Dim{Name: InLayer(l, "qk"), Size: 2 + l, Kind: QK, Per: kv.Name, Track: true}
		specs = append(specs,
			Spec{Name: InLayer(l, "q"), Layer: l, Role: Q, Block: InLayer(l, "qkv"), Dims: []Dim{kv, qk, e}},
			Spec{Name: InLayer(l, "k"), Layer: l, Role: K, Block: InLayer(l, "qkv"), Dims: []Dim{kv, qk, e}},
			Spec{Name: InLayer(l, "norm1"), Layer: l, Role: Norm1, Dims: []Dim{e}})
	}
	specs = append(specs, Spec{Name: "norm", Layer: Outside, Role: FinalNorm, Dims: []Dim{e}})
	s, err := New(specs)
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Weights.Data {
		s.Weights.Data[i] = float32(i)
	}
	return s
}

// TestRemoveLayer: what stays keeps its elements, in the weights and in a slab beside them;
// the layers after the one that goes have lower numbers and know their old ones.
func TestRemoveLayer(t *testing.T) {
	s := layered(t)
	want := map[string][]float32{}
	for old, now := range map[string]string{"embed": "embed", "layer.0.q": "layer.0.q", "layer.2.k": "layer.1.k", "layer.2.norm1": "layer.1.norm1", "norm": "norm"} {
		want[now] = slices.Clone(s.Param(old).Data())
	}
	beside := s.NewSlab()
	copy(beside.Data, s.Weights.Data)
	cut := Cut{WholeLayer(1): Keep{{}}, "layer.2.qk": Keep{{1, 3}, {1, 3}}, WholeLayer(0): Keep{{0}}}
	if err := s.Shrink(cut, beside); err != nil {
		t.Fatal(err)
	}
	k := want["layer.1.k"] // [2, 4, 3]
	want["layer.1.k"] = slices.Concat(k[3:6], k[9:12], k[15:18], k[21:24])
	if fmt.Sprint(s.LayerOrigin()) != "[0 2]" || s.Layers() != 2 || s.Param("layer.2.q") != nil || s.Block("layer.2.qkv") != nil || s.Dim("layer.2.qk").Size != 0 {
		t.Fatalf("layers %v: %v", s.LayerOrigin(), s.Params)
	}
	if d := s.LayerDim(1, QK); d.Name != "layer.1.qk" || d.Per != "layer.1.kv" || d.Size != 2 || fmt.Sprint(s.Origin(d.Name)) != "[[1 3] [1 3]]" {
		t.Errorf("dimension %+v of %v", d, s.Origin("layer.1.qk"))
	}
	if p := s.LayerParam(1, K); p == nil || p.Name != "layer.1.k" || p.Layer != 1 || p.BlockOf() != s.Block("layer.1.qkv") {
		t.Errorf("parameter %+v", p)
	}
	if l, ok := s.DimLayer("layer.1.qk"); l != 1 || !ok {
		t.Errorf("layer.1.qk is of layer %d", l)
	}
	for name, of := range want {
		if got := s.Param(name).Data(); !slices.Equal(got, of) {
			t.Errorf("%s is %v, expected %v", name, got, of)
		}
	}
	if !slices.Equal(beside.Data, s.Weights.Data) || len(beside.Data) != s.Len() {
		t.Error("a slab beside the weights is not cut as they are")
	}
	if like := s.Like(); fmt.Sprint(like.LayerOrigin()) != "[0 2]" {
		t.Errorf("a set like it has layers %v", like.LayerOrigin())
	}
}

func TestRemoveLayerRefuses(t *testing.T) {
	for name, c := range map[string]Cut{
		"all layers":       {WholeLayer(0): Keep{{}}, WholeLayer(1): Keep{{}}, WholeLayer(2): Keep{{}}},
		"a second unit":    {WholeLayer(0): Keep{{1}}},
		"two lists":        {WholeLayer(0): Keep{{}, {}}},
		"no such layer":    {WholeLayer(3): Keep{{}}},
		"a wrong unit too": {WholeLayer(0): Keep{{}}, "layer.1.qk": Keep{{7}, {7}}},
	} {
		s := layered(t)
		n := s.Count()
		if err := s.Shrink(c); !errors.Is(err, ErrCut) || s.Count() != n || s.Layers() != 3 {
			t.Errorf("%s: error %v, %d layers", name, err, s.Layers())
		}
	}
	if err := layered(t).SetLayerOrigin([]int{0, 2, 1}); err == nil {
		t.Error("original numbers that do not ascend are accepted")
	}
}

// TestRemoveStoredLayer: blocks that are stored as bfloat16 go and stay like others.
func TestRemoveStoredLayer(t *testing.T) {
	s := layered(t)
	want := slices.Clone(s.Param("layer.2.q").Data())
	if err := s.StoreAll(BF16); err != nil {
		t.Fatal(err)
	}
	before := s.WeightBytes()
	if err := s.Shrink(Cut{WholeLayer(0): Keep{{}}}); err != nil {
		t.Fatal(err)
	}
	p := s.Param("layer.1.q")
	if got := p.Floats(make([]float32, p.Size()), 0, p.Size()); !slices.Equal(got, want) {
		t.Errorf("%v, expected %v", got, want)
	}
	if after := s.WeightBytes(); after >= before {
		t.Errorf("%d bytes, then %d", before, after)
	}
}

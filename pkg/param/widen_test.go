package param

import (
	"math"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// cutSet is a set with a layer that can be cut.
func cutSet(t *testing.T) *Set {
	e := Dim{Name: "embed", Size: 64}
	f := Dim{Name: "layer.0.ffn", Size: 12, Kind: FFN}
	s, err := New([]Spec{
		{Name: "embed", Role: Embed, Layer: Outside, Dims: []Dim{{Size: 50}, e}, Init: Init{Std: 1}},
		{Name: "norm", Role: Norm2, Dims: []Dim{e}, Init: Init{Mean: 1, Std: 1}},
		{Name: "gate", Role: Gate, Block: "gate_up", Dims: []Dim{f, e}, Init: Init{Std: 1}},
		{Name: "up", Role: Up, Block: "gate_up", Dims: []Dim{f, e}, Init: Init{Std: 1}},
		{Name: "up_bias", Role: Up.Bias(), Dims: []Dim{f}, Init: Init{Std: 1}},
		{Name: "down", Role: Down, Dims: []Dim{f, e}, Init: Init{Std: 1}},
		{Name: "last", Role: FinalNorm, Layer: Outside, Dims: []Dim{e}, Init: Init{Mean: 2, Std: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Init(1)
	return s
}

// values are all weights as float32, block after block.
func values(s *Set) map[string][]float32 {
	out := map[string][]float32{}
	for _, p := range s.Params {
		out[p.Name] = slices.Clone(p.Floats(make([]float32, p.Size()), 0, p.Size()))
	}
	return out
}

// Cutting weights as they are stored leaves what cutting the values that they stand for
// leaves, and memory shrinks.
func TestShrinkStored(t *testing.T) {
	cut := Cut{"layer.0.ffn": Keep{{0, 3, 4, 9, 11}}}
	for _, dtype := range []DType{F32, BF16, Q8} {
		s, want := cutSet(t), cutSet(t)
		if err := s.StoreAll(dtype); err != nil {
			t.Fatal(err)
		}
		for name, x := range values(s) {
			copy(want.Param(name).Data(), x)
		}
		before := s.WeightBytes()
		for _, set := range []*Set{s, want} {
			if err := set.Shrink(cut); err != nil {
				t.Fatal(err)
			}
		}
		got, expected := values(s), values(want)
		for name := range expected {
			if !slices.Equal(got[name], expected[name]) {
				t.Errorf("%s: %s is\n%v\nexpected\n%v", dtype, name, got[name], expected[name])
			}
		}
		rows := int64(3 * 7) // that went, of 64
		if gone := before - s.WeightBytes(); gone != map[DType]int64{F32: rows*256 + 28, BF16: rows*128 + 28, Q8: rows*68 + 28}[dtype] {
			t.Errorf("%s: %d bytes went", dtype, gone)
		}
	}
}

func TestWiden(t *testing.T) {
	for _, dtype := range []DType{BF16, Q8} {
		s := cutSet(t)
		if err := s.StoreAll(dtype); err != nil {
			t.Fatal(err)
		}
		before, bytes := values(s), s.WeightBytes()
		b := s.Block("down")
		s.Widen(b)
		s.Widen(s.Block("norm")) // float32 already
		if x := s.Param("down").Data(); b.DType() != F32 || !slices.Equal(x, before["down"]) || b.Stored(s).F32 == nil || s.WeightBytes() != bytes+4*12*64 {
			t.Fatalf("%s: the copy of down is %v", dtype, x)
		}
		if err := s.Shrink(Cut{}); err == nil {
			t.Error("a set was cut while a block is widened")
		}
		if err := s.Store(b, BF16); err == nil {
			t.Error("a widened block was stored")
		}
		s.Param("down").Data()[5] = 7
		s.Revert(b)
		if got := values(s); !slices.Equal(got["down"], before["down"]) || b.DType() != dtype {
			t.Errorf("%s: Revert left %v", dtype, got["down"])
		}
		s.Widen(b)
		s.Param("down").Data()[5] = 0.5
		if err := s.Narrow(b); err != nil || math.Abs(float64(values(s)["down"][5]-0.5)) > 0.01 || b.DType() != dtype || s.WeightBytes() != bytes {
			t.Errorf("%s: Narrow left %g (%v)", dtype, values(s)["down"][5], err)
		}
		before = values(s)
		s.Widen(b)
		s.Param("down").Data()[40] = float32(math.Inf(1))
		if err := s.Narrow(b); err == nil || !slices.Equal(values(s)["down"], before["down"]) {
			t.Errorf("%s: a value that is not finite: %v", dtype, err)
		}
		if got := s.Param("up").Floats(make([]float32, kernel.Q8Block), 32, 64); !slices.Equal(got, before["up"][32:64]) {
			t.Errorf("%s: a part of up is %v", dtype, got)
		}
		s.Close()
	}
}

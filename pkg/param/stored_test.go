package param

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
)

func storedSet(t *testing.T) *Set {
	e := Dim{Name: "embed", Size: 64}
	s, err := New([]Spec{
		{Name: "embed", Role: Embed, Layer: Outside, Dims: []Dim{{Size: 50}, e}, Init: Init{Std: 1}},
		{Name: "norm", Role: FinalNorm, Layer: Outside, Dims: []Dim{e}, Init: Init{Mean: 1}},
		{Name: "q", Role: Q, Block: "qkv", Dims: []Dim{{Size: 40}, e}, Init: Init{Std: 1}},
		{Name: "k", Role: K, Block: "qkv", Dims: []Dim{{Size: 24}, e}, Init: Init{Std: 1}},
		{Name: "odd", Role: Head, Layer: Outside, Dims: []Dim{{Size: 10}, {Size: 33}}, Init: Init{Std: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Init(1)
	return s
}

func TestStore(t *testing.T) {
	for _, dtype := range []DType{BF16, Q8} {
		s := storedSet(t)
		before := append([]float32(nil), s.Block("qkv").In(s.Weights)...)
		norm := append([]float32(nil), s.Param("norm").Data()...)
		if err := s.StoreAll(dtype); err != nil {
			t.Fatal(err)
		}
		odd := map[DType]DType{BF16: BF16, Q8: F32}[dtype] // rows of 33 are no whole blocks
		for name, want := range map[string]DType{"embed": dtype, "qkv": dtype, "norm": F32, "odd": odd} {
			if got := s.Block(name).DType(); got != want {
				t.Errorf("%s: block %s is %s, want %s", dtype, name, got, want)
			}
		}
		want := int64(4*64 + 2*(50*64+64*64+330))
		if dtype == Q8 {
			want = 4*64 + 4*330 + (50*64+64*64)/32*34
		}
		if got := s.WeightBytes(); got != want {
			t.Errorf("%s: %d bytes of weights, want %d", dtype, got, want)
		}
		w, got := s.Block("qkv").Stored(s), make([]float32, len(before))
		if dtype == Q8 {
			kernel.FromQ8(got, w.Q8)
		} else {
			kernel.FromBF16(got, w.BF16)
		}
		for i := range got {
			if math.Abs(float64(got[i]-before[i])) > 0.02 {
				t.Fatalf("%s: value %d is %g, was %g", dtype, i, got[i], before[i])
			}
		}
		if !slices.Equal(s.Param("norm").Data(), norm) {
			t.Errorf("%s: a block that is float32 has changed", dtype)
		}
		if err := s.Float32(); !errors.Is(err, ErrStored) {
			t.Errorf("%s: Float32 says %v", dtype, err)
		}
		for name, read := range map[string]func(){
			"Data": func() { s.Param("q").Data() }, "In": func() { s.Block("embed").In(s.Weights) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: %s gave float32 weights", dtype, name)
					}
				}()
				read()
			}()
		}
		if grads := s.NewSlab(); len(s.Param("q").In(grads)) != 40*64 {
			t.Errorf("%s: a parallel slab has no part of q", dtype)
		}
		s.Close()
	}
}

func TestStoreRefuses(t *testing.T) {
	s := storedSet(t)
	defer s.Close()
	if err := s.Store(s.Block("norm"), BF16); err == nil {
		t.Error("a gain was stored as bf16")
	}
	if err := s.Store(s.Block("odd"), Q8); err == nil {
		t.Error("rows of 33 were stored as q8_0")
	}
	if err := s.Store(s.Block("embed"), BF16); err != nil {
		t.Error(err)
	}
	if err := s.Store(s.Block("embed"), Q8); !errors.Is(err, ErrStored) {
		t.Errorf("bf16 became q8_0: %v", err)
	}
	if _, err := ParseDType("q4"); err == nil {
		t.Error("q4 was taken for a type")
	}
}

// TestInitAs: weights that are made in the type they are stored in are those that Init makes,
// rounded.
func TestInitAs(t *testing.T) {
	for _, dtype := range []DType{F32, BF16, Q8} {
		a, b := storedSet(t), storedSet(t)
		a.Init(7)
		if err := a.StoreAll(dtype); err != nil {
			t.Fatal(err)
		}
		if err := b.InitAs(7, dtype); err != nil {
			t.Fatal(err)
		}
		for i, block := range a.Blocks {
			w, v := block.Stored(a), b.Blocks[i].Stored(b)
			if !slices.Equal(w.F32, v.F32) || !slices.Equal(w.BF16, v.BF16) || !slices.Equal(w.Q8, v.Q8) {
				t.Errorf("%s: %s differs", dtype, block.Name)
			}
		}
		if a.BytesAs(dtype) != b.WeightBytes() {
			t.Errorf("%s: %d bytes planned, %d taken", dtype, a.BytesAs(dtype), b.WeightBytes())
		}
	}
}

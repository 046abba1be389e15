package coupled

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

var everything = Options{
	Interactions: Kinds(), Squares: true, Activations: true, Basis: true, Compensation: true, Gains: true, Scale: 0.3, Queries: 3,
	Kinds: []string{"test-sizes"},
}

// watch gives every site of the evidence one batch of random activations, and
// the squares one batch of random gradients.
func watch(t testing.TB, e *Evidence, b, tokens int, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 2))
	for _, s := range e.Sites() {
		x := make([]float32, b*tokens*s.Cols)
		for i := range x {
			x[i] = float32(rng.NormFloat64()) + 0.3
		}
		if err := e.Observe(s.Name, x, b, tokens); err != nil {
			t.Fatal(err)
		}
	}
	if e.Squares != nil {
		g := param.NewSlab(len(e.Squares.Data))
		for i := range g.Data {
			g.Data[i] = float32(rng.NormFloat64())
		}
		if err := e.AddGradients(g, 2); err != nil {
			t.Fatal(err)
		}
	}
}

// bits lists every statistic as bits.
func bits(e *Evidence) []uint64 {
	var out []uint64
	e.visit(func(f64 []float64, f32 []float32) error {
		for _, x := range f64 {
			out = append(out, math.Float64bits(x))
		}
		for _, x := range f32 {
			out = append(out, uint64(math.Float32bits(x)))
		}
		return nil
	})
	return out
}

func equalBits(a, b []uint64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestEvidenceResumesBitExact: gathering, saving, loading and gathering on is
// gathering without a break, to the bit, across a cut.
func TestEvidenceResumesBitExact(t *testing.T) {
	for name, z := range map[string]sizes{"rope": small, "bias": gpt} {
		t.Run(name, func(t *testing.T) {
			set := z.set(t)
			e := seen(t, set, everything, 3, 5)
			watch(t, e, 2, 4, 5)
			e.Decay(0.9)
			kept := make(param.Keep, z.kv)
			for i := range kept {
				kept[i] = []int{1, 3}
			}
			cut := param.Cut{"layer.1.qk": kept, "layer.0.ffn": {{0, 2, 5}}, "layer.1.kv": {{1}}}
			if err := e.Shrink(cut); err != nil {
				t.Fatal(err)
			}
			if err := set.Shrink(cut, e.Slabs()...); err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			if err := e.Save(&file, "f", set); err != nil {
				t.Fatal(err)
			}
			back, err := LoadEvidence(&file, int64(file.Len()), "f", set, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !equalBits(bits(e), bits(back)) {
				t.Fatal("what was loaded differs from what was saved")
			}
			for _, x := range []*Evidence{e, back} {
				watch(t, x, 1, 5, 8)
				x.Decay(0.7)
			}
			if !equalBits(bits(e), bits(back)) {
				t.Error("gathering on after loading differs from gathering on")
			}
		})
	}
}

func TestLoadEvidenceRefuses(t *testing.T) {
	set := small.set(t)
	e := seen(t, set, everything, 2, 1)
	var file bytes.Buffer
	if err := e.Save(&file, "llama", set); err != nil {
		t.Fatal(err)
	}
	good := file.Bytes()
	load := func(b []byte, family string, s *param.Set) error {
		_, err := LoadEvidence(bytes.NewReader(b), int64(len(b)), family, s, nil)
		return err
	}
	if err := load(good, "llama", set); err != nil {
		t.Fatal(err)
	}
	changed := append([]byte(nil), good...)
	changed[len(changed)-100] ^= 1
	other := small
	other.ffn++
	for name, tc := range map[string]struct {
		err  error
		says string
	}{
		"damaged":      {load(changed, "llama", set), "checksum"},
		"short":        {load(good[:len(good)-9], "llama", set), "bytes"},
		"long":         {load(append(good[:len(good):len(good)], 0), "llama", set), "bytes"},
		"other family": {load(good, "gpt2", set), `family "llama"`},
		"other shape":  {load(good, "llama", other.set(t)), "layer.0.down is [13 7], it expects [12 7]"},
		"not one":      {load([]byte("hello"), "llama", set), "not an evidence file"},
	} {
		if !errors.Is(tc.err, ErrEvidence) || !strings.Contains(tc.err.Error(), tc.says) {
			t.Errorf("%s: error is %v, expected one that says %q", name, tc.err, tc.says)
		}
	}
}

func FuzzLoadEvidence(f *testing.F) {
	set := gpt.set(f)
	for _, o := range []Options{{}, everything} {
		e := NewEvidence(set, o)
		var file bytes.Buffer
		if err := e.Save(&file, "gpt2", set); err != nil {
			f.Fatal(err)
		}
		f.Add(file.Bytes())
		e.Close()
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := LoadEvidence(bytes.NewReader(b), int64(len(b)), "gpt2", set, nil)
		if err != nil {
			if !errors.Is(err, ErrEvidence) {
				t.Errorf("error %v is no ErrEvidence", err)
			}
			return
		}
		e.Close()
	})
}

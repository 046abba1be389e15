package export

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

var (
	yes, no = true, false
	llama   = model.Sizes{Family: "llama", Layers: 3, Width: 48, Heads: 6, KVHeads: 3, HeadDim: 8, FFN: 20, Vocab: 258, Context: 64, Tied: &no}
	gpt2    = model.Sizes{Family: "gpt2", Layers: 3, Width: 24, Heads: 3, FFN: 20, Vocab: 258, Context: 32, Tied: &yes}
)

// fixture is a model with weights large enough that every one matters, cut.
type fixture struct {
	m     model.Model
	set   *param.Set
	pool  *kernel.Pool
	probe Probe
}

func newFixture(t *testing.T, s model.Sizes, config string, cut param.Cut) *fixture {
	t.Helper()
	m, err := model.New(s)
	if config != "" {
		m, err = model.Parse([]byte(config))
	}
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for _, p := range set.Params {
		norm := strings.Contains(p.Name, "norm") && !strings.HasSuffix(p.Name, "_bias")
		for i := range p.Data() {
			p.Data()[i] = 0.3 * float32(rng.NormFloat64())
			if norm {
				p.Data()[i] = 1 + 0.1*float32(rng.NormFloat64())
			}
		}
	}
	if err := set.Shrink(cut); err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(1)
	t.Cleanup(func() { pool.Close(); set.Weights.Close() })
	return &fixture{m, set, pool, NewProbe(m)}
}

func (f *fixture) logits(t *testing.T) []float32 {
	t.Helper()
	l, err := Logits(f.m, f.set, f.pool, f.probe)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func byteTokenizer(t *testing.T) []byte {
	t.Helper()
	text, err := tokenizer.Bytes{}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// every is the same list for n heads.
func every(n int, units ...int) param.Keep {
	k := param.Keep{}
	for range n {
		k = append(k, units)
	}
	return k
}

// merge joins cuts of different dimensions.
func merge(cuts ...param.Cut) param.Cut {
	out := param.Cut{}
	for _, c := range cuts {
		for k, v := range c {
			out[k] = v
		}
	}
	return out
}

// everywhere is a cut of the dimension in all three layers.
func everywhere(dim string, keep param.Keep) param.Cut {
	return param.Cut{"layer.0." + dim: keep, "layer.1." + dim: keep, "layer.2." + dim: keep}
}

var (
	vit  = model.Sizes{Family: "vit", Layers: 3, Width: 24, Heads: 3, FFN: 20, ImageSize: 8, PatchSize: 4, Channels: 3, Labels: 5}
	deit = model.Sizes{Family: "vit", Distilled: true, Layers: 3, Width: 24, Heads: 3, FFN: 20, ImageSize: 8, PatchSize: 4, Channels: 1, Labels: 4}
)

package coupled

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// sizes describes a model for tests.
type sizes struct {
	layers, kv, r, qk, vo, ffn, embed int
	rope, gated, bias                 bool
}

var small = sizes{layers: 3, kv: 2, r: 2, qk: 4, vo: 5, ffn: 12, embed: 7, rope: true, gated: true}
var gpt = sizes{layers: 2, kv: 3, r: 1, qk: 6, vo: 6, ffn: 10, embed: 8, bias: true}

func (z sizes) specs() []param.Spec {
	e := param.Dim{Name: "embed", Size: z.embed}
	w := param.Init{Std: 0.5}
	specs := []param.Spec{{Name: "embedding", Layer: param.Outside, Dims: []param.Dim{{Name: "vocab", Size: 11}, e}, Init: w}}
	for n := range z.layers {
		name := func(s string) string { return fmt.Sprintf("layer.%d.%s", n, s) }
		kv := param.Dim{Name: name("kv"), Size: z.kv, Kind: param.KV}
		qk := param.Dim{Name: name("qk"), Size: z.qk, Per: kv.Name, Track: z.rope, Kind: param.QK}
		vo := param.Dim{Name: name("vo"), Size: z.vo, Per: kv.Name, Kind: param.VO}
		ffn := param.Dim{Name: name("ffn"), Size: z.ffn, Kind: param.FFN}
		r := param.Dim{Size: z.r}
		q, k := []param.Dim{kv, r, qk}, []param.Dim{kv, qk}
		if z.rope {
			q, k = append(q, param.Dim{Size: 2}), append(k, param.Dim{Size: 2})
		}
		with := func(d []param.Dim, more ...param.Dim) []param.Dim {
			return append(append([]param.Dim(nil), d...), more...)
		}
		add := func(s, block string, d []param.Dim) {
			role := param.Role(map[string]string{"in": "up", "in_bias": "up_bias", "out": "down", "out_bias": "down_bias"}[s])
			if role == "" {
				role = param.Role(s)
			}
			specs = append(specs, param.Spec{Name: name(s), Layer: n, Role: role, Dims: d, Block: name(block), Init: w})
		}
		add("q", "qkv", with(q, e))
		add("k", "qkv", with(k, e))
		add("v", "qkv", []param.Dim{kv, vo, e})
		if z.bias {
			add("q_bias", "qkv_bias", q)
			add("k_bias", "qkv_bias", k)
			add("v_bias", "qkv_bias", []param.Dim{kv, vo})
		}
		add("o", "o", []param.Dim{kv, r, vo, e})
		if z.bias {
			add("o_bias", "o_bias", []param.Dim{e})
		}
		if z.gated {
			add("gate", "gate_up", []param.Dim{ffn, e})
			add("up", "gate_up", []param.Dim{ffn, e})
			add("down", "down", []param.Dim{ffn, e})
		} else {
			add("in", "in", []param.Dim{ffn, e})
			if z.bias {
				add("in_bias", "in_bias", []param.Dim{ffn})
			}
			add("out", "out", []param.Dim{ffn, e})
			if z.bias {
				add("out_bias", "out_bias", []param.Dim{e})
			}
		}
	}
	return specs
}

// set makes the model with random weights.
func (z sizes) set(t testing.TB) *param.Set {
	t.Helper()
	s, err := param.New(z.specs())
	if err != nil {
		t.Fatal(err)
	}
	s.Init(7)
	return s
}

// seen makes evidence of n random sequences for a set.
func seen(t testing.TB, set *param.Set, o Options, n int, seed uint64) *Evidence {
	t.Helper()
	e := NewEvidence(set, o)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range n {
		for _, g := range Groups(set) {
			if g.Kind == Head {
				continue
			}
			r := make([]float32, g.Lists*g.Units)
			for i := range r {
				r[i] = float32(rng.NormFloat64()) * float32(1+i%5)
			}
			if err := e.Add(g.Dim, r, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	return e
}

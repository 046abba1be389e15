package model_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// deepForms are the forms with five layers, which differ as the family's do.
func deepForms(t *testing.T) map[string]model.Model {
	t.Helper()
	out := map[string]model.Model{}
	for name, s := range forms {
		s.Layers = 5
		m, err := model.New(s)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = m
	}
	paths, err := filepath.Glob("../../testdata/golden/*/config.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(paths, "../../testdata/minilm/config.json") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var c map[string]any
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"num_hidden_layers", "n_layer"} {
			if c[key] != nil {
				c[key] = 5
			}
		}
		delete(c, "layer_types")
		delete(c, "no_rope_layers")
		if text, err = json.Marshal(c); err != nil {
			t.Fatal(err)
		}
		m, err := model.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out[filepath.Base(filepath.Dir(path))] = m
	}
	return out
}

func without(layers ...int) param.Cut {
	c := param.Cut{}
	for _, l := range layers {
		c[param.WholeLayer(l)] = param.Keep{{}}
	}
	return c
}

// stream is the residual stream that enters a layer, or the output.
func (b *bench) stream(t *testing.T, layer int) (x []float32) {
	t.Helper()
	site := param.InLayer(layer, "input")
	if layer == b.set.Layers() {
		site = "output"
	}
	g := graph.NewBuilder(b.set, graph.BuildOptions{})
	b.m.Loss(g, formB, tokens(b.m), 0)
	mc, err := g.Lower(graph.LowerOptions{Pool: b.pool, SitesOnly: true, Sites: []string{site}, Observe: func(_ string, v []float32, _, _ int) error {
		x = append(x, v...)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer mc.Close()
	for _, err := range []error{b.batch.FeedInputs(mc), mc.RunAll()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// lossFrom is the mean loss of the layers from one on, for a residual stream that enters it.
func (b *bench) lossFrom(t *testing.T, layer int, x []float32) float64 {
	t.Helper()
	g := graph.NewBuilder(b.set, graph.BuildOptions{})
	b.m.Loss(g, formB, tokens(b.m), layer)
	mc, err := g.Lower(graph.LowerOptions{Pool: b.pool})
	if err != nil {
		t.Fatal(err)
	}
	defer mc.Close()
	for _, err := range []error{b.batch.FeedTargets(mc, 1/float32(len(b.batch.Targets))), mc.SetFloats("hidden", x...), mc.RunAll()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return float64(mc.Output("loss")[0])
}

// TestMaskingALayerEqualsRemovingIt: the model without a layer has the loss of the model in
// which the layer's input goes on to the next one as it is, and decodes as it computes.
func TestMaskingALayerEqualsRemovingIt(t *testing.T) {
	for name, m := range deepForms(t) {
		t.Run(name, func(t *testing.T) {
			whole := newBench(t, m)
			for _, layer := range []int{1, 4} {
				cut := newBench(t, m)
				masked := whole.lossFrom(t, layer+1, whole.stream(t, layer))
				if err := graph.Rewrite(cut.set, without(layer), []*param.Slab{cut.grads}); err != nil {
					t.Fatal(err)
				}
				cut.lower(t)
				cut.run(t)
				if got := float64(cut.mc.Output("loss")[0]); math.Abs(got-masked) > 1e-6*math.Max(1, math.Abs(masked)) {
					t.Errorf("layer %d: loss is %g masked, %g removed", layer, masked, got)
				}
				if _, ok := m.(model.Decoder); ok && layer == 1 {
					decodes(t, cut)
				}
			}
		})
	}
}

// TestLayerGate: the gradient of a layer's gate is that of the loss along what the layer
// does to the residual stream.
func TestLayerGate(t *testing.T) {
	for name, m := range deepForms(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, m)
			g := graph.NewBuilder(b.set, graph.BuildOptions{Gates: true, LayerGates: true})
			m.Loss(g, formB, tokens(m), 0)
			mc, err := g.Lower(graph.LowerOptions{Pool: b.pool, Taps: true, InGradients: true})
			if err != nil {
				t.Fatal(err)
			}
			defer mc.Close()
			for _, err := range []error{b.batch.Feed(mc, 1/float32(len(b.batch.Targets))), mc.RunFresh()} {
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, layer := range []int{0, 4} {
				in, out := b.stream(t, layer), b.stream(t, layer+1)
				const h = 0.01
				at := func(z float64) float64 {
					x := make([]float32, len(in))
					for i := range x {
						x[i] = in[i] + float32(z)*(out[i]-in[i])
					}
					return b.lossFrom(t, layer+1, x)
				}
				slope := func(h float64) float64 { return (at(1+h) - at(1-h)) / (2 * h) }
				want := (4*slope(h) - slope(2*h)) / 3 // Richardson
				got := 0.0
				r := mc.Output("gate:" + param.WholeLayer(layer))
				for _, x := range r {
					got += float64(x)
				}
				// Central differences of float32 losses, which are bent on the way through five layers.
				if len(r) != formB || math.Abs(got-want) > 1e-2*math.Max(0.05, math.Abs(want)) {
					t.Errorf("layer %d: gate %g of %d sequences, the loss changes by %g", layer, got, len(r), want)
				}
			}
		})
	}
}

// TestPresent: a model that has lost layers is written and read back as what it is, and as
// what other programs are told it is, it has the same layers.
func TestPresent(t *testing.T) {
	for name, m := range deepForms(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, m)
			if err := b.set.Shrink(without(1, 3), b.grads); err != nil {
				t.Fatal(err)
			}
			b.lower(t)
			want := b.run(t)
			config, err := m.Config(b.set)
			if err != nil {
				t.Fatal(err)
			}
			back, err := model.Parse(config)
			if err != nil {
				t.Fatal(err)
			}
			set, err := param.New(back.Specs())
			if err != nil {
				t.Fatal(err)
			}
			if err := back.Restore(set); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(set.LayerOrigin()) != "[0 2 4]" || back.Arch().Layers != 5 {
				t.Fatalf("layers %v of %d", set.LayerOrigin(), back.Arch().Layers)
			}
			copy(set.Weights.Data, b.set.Weights.Data)
			present, err := back.Present(set)
			if err != nil {
				t.Fatal(err)
			}
			for what, of := range map[string]model.Model{"read back": back, "as for others": present} {
				c := &bench{m: of, set: set, grads: set.NewSlab(), pool: b.pool, batch: b.batch}
				c.lower(t)
				got := c.run(t)
				for i := range want {
					if math.Abs(got[i]-want[i]) > 1e-6*math.Max(1, math.Abs(want[i])) {
						t.Fatalf("%s: loss of row %d is %g, expected %g", what, i, got[i], want[i])
					}
				}
			}
			if n := present.Arch().Layers; n != 3 {
				t.Errorf("other programs are told of %d layers", n)
			}
			dense, err := param.Layout(present.DenseSpecs())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range set.Params {
				if q := dense.Param(p.Name); q == nil || !reflect.DeepEqual(p.Dims, q.Dims) {
					t.Errorf("%s is %v, other programs are told %v", p.Name, p, q)
				}
			}
		})
	}
}

// TestKeptLayersAreChecked: a config.json that names layers which cannot be is refused.
func TestKeptLayersAreChecked(t *testing.T) {
	m := deepForms(t)["llama grouped"]
	set, err := param.Layout(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Shrink(without(0)); err != nil {
		t.Fatal(err)
	}
	text, err := m.Config(set)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	for _, from := range [][]int{{0, 1, 2}, {0, 1, 2, 5}, {-1, 1, 2, 3}, {1, 1, 2, 3}, {}} {
		own := maps.Clone(config["ecospa"].(map[string]any))
		own["layers_from"] = from
		c := maps.Clone(config)
		c["ecospa"] = own
		bad, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := model.Parse(bad); err == nil {
			t.Errorf("layers %v are accepted", from)
		}
	}
}

package model_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// forms are the models that every law is held against, beside those of
// testdata/golden: a family joins with its golden numbers.
var forms = map[string]model.Sizes{
	"gpt2":               {Family: "gpt2", Layers: 2, Width: 15, Heads: 3, FFN: 11, Vocab: 13, Context: 8},
	"llama multi-head":   {Family: "llama", Layers: 2, Width: 10, Heads: 3, HeadDim: 6, FFN: 11, Vocab: 13, Context: 8},
	"llama grouped":      {Family: "llama", Layers: 2, Width: 10, Heads: 4, KVHeads: 2, HeadDim: 6, FFN: 11, Vocab: 13, Context: 8},
	"llama multi-query":  {Family: "llama", Layers: 2, Width: 10, Heads: 3, KVHeads: 1, HeadDim: 6, FFN: 11, Vocab: 13, Context: 8},
	"vit":                {Family: "vit", Layers: 2, Width: 15, Heads: 3, FFN: 11, ImageSize: 6, PatchSize: 3, Channels: 1, Labels: 13},
	"vit, distilled":     {Family: "vit", Layers: 2, Width: 15, Heads: 3, FFN: 11, ImageSize: 4, PatchSize: 2, Channels: 3, Labels: 13, Distilled: true},
	"llama, tied weight": {Family: "llama", Layers: 1, Width: 10, Heads: 2, HeadDim: 6, FFN: 7, Vocab: 13, Context: 8, Tied: new(bool)},
}

// goldenForms are the models of testdata/golden.
func goldenForms(t *testing.T) map[string]model.Model {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/golden/*/config.json")
	if err != nil || len(paths) < 7 {
		t.Fatalf("found %v (%v)", paths, err)
	}
	out := map[string]model.Model{}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		out[filepath.Base(filepath.Dir(p))] = m
	}
	return out
}

// headless is an encoder whose loss is of vectors.
func headless(t *testing.T) model.Model {
	t.Helper()
	text, err := os.ReadFile("../../testdata/minilm/config.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const formB, formT = 2, 6

// bench is a model with weights, its training machine and one batch.
type bench struct {
	m     model.Model
	set   *param.Set
	grads *param.Slab
	pool  *kernel.Pool
	mc    *graph.Machine
	batch data.Batch
}

func newBench(t *testing.T, m model.Model) *bench {
	t.Helper()
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	set.Init(1)
	rng := rand.New(rand.NewPCG(4, 4))
	for i := range set.Weights.Data { // biases and norms away from 0 and 1, weights large enough to matter
		set.Weights.Data[i] = set.Weights.Data[i]*8 + 0.2*float32(rng.NormFloat64())
	}
	for _, p := range set.Params { // but norms near one
		if p.Init.Mean == 1 || m.Arch().PlusOne && p.Init.Std == 0 {
			for i := range p.Data() {
				p.Data()[i] = p.Init.Mean + 0.1*float32(rng.NormFloat64())
			}
		}
	}
	pool := kernel.NewPool(2)
	t.Cleanup(pool.Close)
	b := &bench{m: m, set: set, grads: set.NewSlab(), pool: pool, batch: randomBatch(m)}
	b.lower(t)
	return b
}

func (b *bench) lower(t *testing.T) {
	t.Helper()
	g := graph.NewBuilder(b.set, graph.BuildOptions{Train: true})
	b.m.Loss(g, formB, tokens(b.m), 0)
	mc, err := g.Lower(graph.LowerOptions{Pool: b.pool, Grads: b.grads, Taps: true})
	if err != nil {
		t.Fatal(err)
	}
	b.mc = mc
}

// run makes one pass from cleared gradients and returns each row's loss.
func (b *bench) run(t *testing.T) []float64 {
	t.Helper()
	clear(b.grads.Data)
	for _, err := range []error{b.batch.Feed(b.mc, 1/float32(len(b.batch.Targets))), b.mc.RunAll()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var nll []float64
	for _, l := range b.mc.Output("nll") {
		nll = append(nll, float64(l))
	}
	if distilled := b.mc.Output("nll.2"); distilled != nil {
		for i, l := range distilled {
			nll[i] = (nll[i] + float64(l)) / 2
		}
	}
	return nll
}

// tokens is the length of the sequences: an image has a fixed one.
func tokens(m model.Model) int {
	if _, ok := m.(model.Classifier); ok {
		return m.Context()
	}
	return formT
}

// randomBatch is formB random sequences, or images.
func randomBatch(m model.Model) data.Batch {
	rng := rand.New(rand.NewPCG(9, 9))
	b := data.Batch{N: formB}
	c, images := m.(model.Classifier)
	if images {
		for range formB * c.Image().Size() {
			b.Pixels = append(b.Pixels, float32(rng.NormFloat64()))
		}
		for range formB {
			b.Targets = append(b.Targets, rng.Int32N(int32(m.Vocab())))
		}
		return b
	}
	for range formB * formT {
		b.IDs, b.Targets = append(b.IDs, rng.Int32N(int32(m.Vocab()))), append(b.Targets, rng.Int32N(int32(m.Vocab())))
	}
	if _, ok := m.(model.Encoder); ok && !m.Arch().MaskedLM { // vectors of texts are learned, not tokens
		b.Targets = make([]int32, formB)
		for range formB * m.Arch().Hidden {
			b.Vectors = append(b.Vectors, float32(rng.NormFloat64()))
		}
	}
	return b
}

func eachForm(t *testing.T, f func(t *testing.T, m model.Model)) {
	for name, s := range forms {
		if s.Tied != nil {
			*s.Tied = true
		}
		m, err := model.New(s)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { f(t, m) })
	}
	t.Run("encoder without a head", func(t *testing.T) { f(t, headless(t)) })
	for name, m := range goldenForms(t) {
		t.Run("golden "+name, func(t *testing.T) { f(t, m) })
	}
}

// TestGradientOfTheWholeModel compares every block's gradient with central
// differences of the loss along a random direction.
func TestGradientOfTheWholeModel(t *testing.T) {
	eachForm(t, func(t *testing.T, m model.Model) {
		b := newBench(t, m)
		b.run(t)
		grads := append([]float32(nil), b.grads.Data...)
		rng := rand.New(rand.NewPCG(1, 2))
		for _, bl := range b.set.Blocks {
			w := bl.In(b.set.Weights)
			keep := append([]float32(nil), w...)
			dir := make([]float64, len(w))
			norm, want, scale := 0.0, 0.0, 0.0
			for i := range dir {
				dir[i] = rng.NormFloat64()
				norm += dir[i] * dir[i]
			}
			for i := range dir {
				dir[i] /= math.Sqrt(norm)
				g := float64(grads[bl.Offset+i])
				want += dir[i] * g
				scale += g * g
			}
			at := func(h float64) float64 {
				for i := range w {
					w[i] = keep[i] + float32(h*dir[i])
				}
				sum := 0.0
				for _, l := range b.run(t) {
					sum += l / float64(len(b.batch.Targets))
				}
				copy(w, keep)
				return sum
			}
			const h = 1e-2
			got := (8*(at(h)-at(-h)) - (at(2*h) - at(-2*h))) / (12 * h)
			// Fourth order in h; the loss is good to 1e-7, which 12h magnifies to 1e-5.
			if math.Abs(got-want) > 1e-4+5e-3*math.Sqrt(scale) {
				t.Errorf("%s: finite differences give %g, the graph %g", bl.Name, got, want)
			}
		}
	})
}

// cuts are one cut of each kind and one of all, with different units in
// different K/V heads.
func cuts(set *param.Set) map[string]param.Cut {
	heads := set.Dim("layer.0.kv").Size
	lists := func(dim string, of ...[]int) param.Keep {
		k := make(param.Keep, max(1, set.Dim(set.Dim(dim).Per).Size)) // one where heads share their units
		for g := range k {
			k[g] = of[g%len(of)]
		}
		return k
	}
	qk, vo, ffn := "layer.0.qk", "layer.0.vo", "layer.0.ffn"
	d := func(s string) string { return "layer.0." + s }
	n := set.Dim(vo).Size
	out := map[string]param.Cut{
		"vo":  {vo: lists(vo, []int{0, n - 2, n - 1}, []int{1, 2, n - 1})},
		"ffn": {ffn: {{1, 2, 5, 6}}},
	}
	all := param.Cut{vo: lists(vo, []int{n - 1}, []int{0}), ffn: {{3}}}
	if set.Dim(qk).Size > 0 { // some families cannot remove these
		out["qk"] = param.Cut{qk: lists(qk, []int{0, 2}, []int{1, 2})}
		all[qk] = lists(qk, []int{1}, []int{2})
	}
	if heads > 1 {
		out["head"] = param.Cut{d("kv"): {{heads - 1}}}
		all[d("kv")] = param.Keep{{0}}
	}
	out["all"] = all
	return out
}

// mask sets the gates of what a cut removes to zero, exactly: q rows of qk units,
// o rows of vo units and heads, out or down rows of channels. It returns which
// elements of each parameter the cut keeps.
func mask(t *testing.T, set *param.Set, cut param.Cut) map[string][]bool {
	t.Helper()
	// Shrinking a set whose weights are their own positions says what stays.
	probe, err := param.New(specsOf(set))
	if err != nil {
		t.Fatal(err)
	}
	for i := range probe.Weights.Data {
		probe.Weights.Data[i] = float32(i)
	}
	if err := probe.Shrink(cut); err != nil {
		t.Fatal(err)
	}
	kept := map[string][]bool{}
	for _, p := range set.Params {
		k := make([]bool, p.Size())
		for _, at := range probe.Param(p.Name).Data() {
			k[int(at)-p.Offset] = true
		}
		kept[p.Name] = k
		normed := set.LayerParam(p.Layer, param.QNorm) != nil
		switch {
		case p.Role == param.Q || p.Role == param.Q.Bias() || p.Role == param.O || p.Role == param.Down,
			normed && (p.Role == param.K || p.Role == param.K.Bias()): // gated before the norm
			for i, keep := range k {
				if !keep {
					p.Data()[i] = 0
				}
			}
		}
	}
	return kept
}

func specsOf(set *param.Set) []param.Spec {
	var s []param.Spec
	for _, p := range set.Params {
		s = append(s, p.Spec)
	}
	return s
}

// TestMaskingEqualsSlicing is the law that every family and kind obeys: the old
// model with the removed units' gates at zero and the rewritten model give the
// same losses, row by row, and the same gradients for what is kept.
func TestMaskingEqualsSlicing(t *testing.T) {
	eachForm(t, func(t *testing.T, m model.Model) {
		for kind, cut := range cuts(newBench(t, m).set) {
			masked, sliced := newBench(t, m), newBench(t, m)
			kept := mask(t, masked.set, cut)
			if err := graph.Rewrite(sliced.set, cut, []*param.Slab{sliced.grads}); err != nil {
				t.Fatal(err)
			}
			sliced.lower(t)
			a, b := masked.run(t), sliced.run(t)
			for i := range a {
				// The same sums without their zeros, in float32.
				if math.Abs(a[i]-b[i]) > 2e-5 {
					t.Fatalf("%s: loss of row %d is %g masked, %g sliced", kind, i, a[i], b[i])
				}
			}
			for _, p := range sliced.set.Params {
				var want []float32
				for i, g := range masked.set.Param(p.Name).In(masked.grads) {
					if kept[p.Name][i] {
						want = append(want, g)
					}
				}
				near(t, kind+": gradient of "+p.Name, p.In(sliced.grads), want, 2e-5)
			}
		}
	})
}

func TestEmptyCutIsTheIdentity(t *testing.T) {
	eachForm(t, func(t *testing.T, m model.Model) {
		a, b := newBench(t, m), newBench(t, m)
		if err := graph.Rewrite(b.set, param.Cut{}, []*param.Slab{b.grads}); err != nil {
			t.Fatal(err)
		}
		b.lower(t)
		la, lb := a.run(t), b.run(t)
		for i := range la {
			if la[i] != lb[i] {
				t.Fatalf("loss of row %d is %g, then %g", i, la[i], lb[i])
			}
		}
		for i, g := range a.grads.Data {
			if g != b.grads.Data[i] {
				t.Fatalf("gradient %d is %g, then %g", i, g, b.grads.Data[i])
			}
		}
	})
}

// TestCutsCompose: applying one cut and then another equals applying both at once.
func TestCutsCompose(t *testing.T) {
	eachForm(t, func(t *testing.T, m model.Model) {
		first := cuts(newBench(t, m).set)["vo"]
		second := param.Cut{"layer.0.ffn": {{0, 4}}, "layer.0.vo": make(param.Keep, len(first["layer.0.vo"]))}
		for g := range second["layer.0.vo"] {
			second["layer.0.vo"][g] = []int{0, 2}
		}
		a, b := newBench(t, m), newBench(t, m)
		both, err := coupled.Compose(b.set, first, second)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []param.Cut{first, second} {
			if err := a.set.Shrink(c, a.grads); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.set.Shrink(both, b.grads); err != nil {
			t.Fatal(err)
		}
		for i, w := range a.set.Weights.Data {
			if w != b.set.Weights.Data[i] {
				t.Fatalf("weight %d is %g after two cuts, %g after one", i, w, b.set.Weights.Data[i])
			}
		}
	})
}

// TestTrainingOnAfterACut: ten steps of the shrunk model with every optimizer, whose state
// shrank as well, equal ten steps of a model built small with the same numbers.
func TestTrainingOnAfterACut(t *testing.T) {
	for _, name := range optim.Names() {
		t.Run(name, func(t *testing.T) {
			eachForm(t, func(t *testing.T, m model.Model) { trainOn(t, m, name) })
		})
	}
}

func trainOn(t *testing.T, m model.Model, name string) {
	a := newBench(t, m)
	o := optim.Default()
	o.Name, o.LR = name, 1e-3
	opt := optim.New(a.set, o)
	defer optim.Close(opt)
	update := func(b *bench, by optim.Interface) {
		by.Update(optim.Step{Pool: b.pool, Set: b.set, Grads: b.grads, LR: o.LR, Norm: 1})
	}
	a.run(t)
	update(a, opt) // state that is not zero
	slabs, own := optim.Cutting(a.set, opt.Slabs())
	var parallel []graph.Parallel
	for _, c := range own {
		parallel = append(parallel, c)
	}
	cut := cuts(a.set)["all"]
	if n := a.set.Layers(); n > 1 { // the layers after it change their numbers
		for dim, keep := range cuts(a.set)["all"] {
			delete(cut, dim)
			cut[param.RenameLayer(dim, 0, n-1)] = keep
		}
		cut[param.WholeLayer(0)] = param.Keep{{}}
	}
	if err := graph.Rewrite(a.set, cut, append(slabs, a.grads), parallel...); err != nil {
		t.Fatal(err)
	}
	a.lower(t)

	small, err := param.New(specsOf(a.set))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range a.set.Params {
		for _, d := range p.Dims {
			if of := a.set.Origin(d.Name); of != nil {
				if err := small.SetOrigin(d.Name, of); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := small.SetLayerOrigin(a.set.LayerOrigin()); err != nil {
		t.Fatal(err)
	}
	b := &bench{m: a.m, set: small, grads: small.NewSlab(), pool: a.pool, batch: a.batch}
	copy(small.Weights.Data, a.set.Weights.Data)
	fresh := optim.New(small, o)
	defer optim.Close(fresh)
	for i, s := range fresh.Slabs() {
		if from := opt.Slabs()[i].Slab.Data; copy(s.Slab.Data, from) != len(from) {
			t.Fatalf("%s has %d elements after the cut, of a small model %d", s.Name, len(from), len(s.Slab.Data))
		}
	}
	fresh.SetUpdates(opt.Updates())
	b.lower(t)
	for i := range 10 {
		la, lb := a.run(t), b.run(t)
		if fmt.Sprint(la) != fmt.Sprint(lb) {
			t.Fatalf("step %d: losses %v and %v", i, la, lb)
		}
		update(a, opt)
		update(b, fresh)
	}
}

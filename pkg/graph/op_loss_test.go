package graph

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

func small(t *testing.T, blocks map[string][]int) *param.Set {
	t.Helper()
	var specs []param.Spec
	for _, name := range []string{"x", "w", "bias", "patch", "class", "pos", "norm", "qkv", "o", "head"} {
		if dims, ok := blocks[name]; ok {
			s := param.Spec{Name: name, Init: param.Init{Mean: 0.1, Std: 0.6}}
			for _, d := range dims {
				s.Dims = append(s.Dims, param.Dim{Size: d})
			}
			specs = append(specs, s)
		}
	}
	set, err := param.New(specs)
	ok(t, err)
	set.Init(5)
	return set
}

func normals(n int) []float32 {
	rng := rand.New(rand.NewPCG(2, 3))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

// TestDistillLoss: gradients through the graph, and the loss of a weight of 0 is HeadLoss's.
func TestDistillLoss(t *testing.T) {
	const n, e, v, wide = 4, 5, 7, 3
	set := small(t, map[string][]int{"x": {n, e}, "w": {v, e}, "bias": {v}})
	teacher := &Teacher{W: normals(v * wide), Bias: normals(v), Temperature: 2, Weight: 0.3, Logits: Logits{SoftCap: 3}}
	feed := func(m *Machine) {
		ok(t, m.SetInts("targets", []int32{1, 6, -1, 0}), m.SetFloats("scale", 0.5))
		if m.size("hidden") > 0 {
			ok(t, m.SetFloats("hidden", normals(n*wide)...))
		}
	}
	build := func(teacher *Teacher) func(bool) *Builder {
		return func(train bool) *Builder {
			b := NewBuilder(set, BuildOptions{Train: train})
			x, w, bias, targets, scale := b.Param("x"), b.Param("w"), b.Param("bias"), b.IDs("targets", n), b.Scalar("scale")
			if teacher == nil {
				b.HeadLoss(LossOperands{X: x, W: w, Bias: bias, Targets: targets, Scale: scale}, Head{Smoothing: 0.1, Logits: Logits{Scale: 0.8, SoftCap: 2}})
			} else {
				b.DistillLoss(LossOperands{X: x, W: w, Bias: bias, Targets: targets, Scale: scale}, Head{Smoothing: 0.1, Logits: Logits{Scale: 0.8, SoftCap: 2}}, b.Floats("hidden", n, wide), teacher)
			}
			return b
		}
	}
	checkGradients(t, set, map[string]float64{"nll": 0.5 * 0.7, "kl": 0.5 * 0.3}, build(teacher), feed)
	hard := *teacher
	hard.Weight = 0
	var losses []float32
	for _, tt := range []*Teacher{nil, &hard} {
		m := lowered(t, build(tt)(false), LowerOptions{})
		feed(m)
		ok(t, m.RunAll())
		losses = append(losses, m.Output("loss")[0])
	}
	if losses[0] != losses[1] {
		t.Errorf("loss %g without a teacher, %g with one of no weight", losses[0], losses[1])
	}
	for want, bad := range map[string]*Teacher{
		"expected a teacher": {W: teacher.W, Weight: 0.5},
		"a head of 2 values": {W: teacher.W[:2], Temperature: 1},
		"a bias of 1;":       {W: teacher.W, Bias: teacher.Bias[:1], Temperature: 1},
	} {
		if err := build(bad)(true).Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, expected %q", err, want)
		}
	}
}

// TestImageModel: the gradients of a vision transformer of one attention layer:
// patches, class token, positions, attention that sees all, classifier.
func TestImageModel(t *testing.T) {
	const images, c, h, w, p, e, classes = 2, 3, 4, 6, 2, 8, 5
	const patch, tokens = c * p * p, h/p*(w/p) + 1
	s := Shape{B: images, T: tokens, G: 2, R: 2, QK: 3, VO: 5, Scale: 0.6}
	set := small(t, map[string][]int{"patch": {e, patch}, "class": {e}, "pos": {tokens, e}, "norm": {2 * e},
		"qkv": {s.Width(), e}, "o": {s.G * s.R * s.VO, e}, "head": {classes, e}, "bias": {classes}})
	build := func(train bool) *Builder {
		b := NewBuilder(set, BuildOptions{Train: train})
		x := b.Linear(b.Patches(b.Floats("images", images, c*h*w), c, h, w, p), b.Param("patch"), nil)
		x = b.Prepend(x, b.Param("class"), tokens-1)
		x = b.AddRows(x, b.Param("pos"), tokens)
		qkv := b.Linear(b.LayerNorm(x, b.Param("norm"), 1e-6), b.Param("qkv"), nil)
		x = b.LinearIn(b.Attention(qkv, nil, s), b.Param("o"), nil, x)
		b.HeadLoss(LossOperands{X: b.Rows(x, tokens, 0), W: b.Param("head"), Bias: b.Param("bias"), Targets: b.IDs("labels", images), Scale: b.Scalar("scale")}, Head{})
		return b
	}
	checkGradients(t, set, map[string]float64{"nll": 1}, build, func(m *Machine) {
		ok(t, m.SetFloats("images", normals(images*c*h*w)...), m.SetInts("labels", []int32{4, 1}), m.SetFloats("scale", 1))
	})
}

// TestTwoHeads: two losses in one graph, as with a distillation token, add up.
func TestTwoHeads(t *testing.T) {
	set := small(t, map[string][]int{"x": {4, 5}, "w": {7, 5}, "head": {3, 5}, "bias": {3}})
	build := func(train bool) *Builder {
		b := NewBuilder(set, BuildOptions{Train: train})
		x, scale := b.Param("x"), b.Scalar("scale")
		b.HeadLoss(LossOperands{X: x, W: b.Param("w"), Targets: b.IDs("targets", 4), Scale: scale}, Head{})
		b.HeadLoss(LossOperands{X: x, W: b.Param("head"), Bias: b.Param("bias"), Targets: b.IDs("labels", 4), Scale: scale}, Head{Smoothing: 0.1})
		return b
	}
	checkGradients(t, set, map[string]float64{"nll": 0.5, "nll.2": 0.5}, build, func(m *Machine) {
		ok(t, m.SetInts("targets", []int32{1, 6, -1, 0}), m.SetInts("labels", []int32{0, 2, 1, -1}), m.SetFloats("scale", 0.5))
	})
}

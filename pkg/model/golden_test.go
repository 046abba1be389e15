package model_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestGolden compares with what PyTorch makes of the same files: logits, loss,
// every tensor's gradient, ten optimizer steps. scripts/golden.py wrote them.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("../../testdata/golden/*/config.json")
	if err != nil || len(cases) < 7 {
		t.Fatalf("found %v (%v)", cases, err)
	}
	for _, c := range cases {
		dir := filepath.Dir(c)
		t.Run(filepath.Base(dir), func(t *testing.T) { golden(t, dir) })
	}
}

// openGolden opens a model directory with golden numbers.
func openGolden(t *testing.T, dir string) (root *os.Root, config []byte, m model.Model, set *param.Set) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	files, err := checkpoint.ReadModel(root)
	if err != nil {
		t.Fatal(err)
	}
	m, err = model.Parse(files.Config)
	if err != nil {
		t.Fatal(err)
	}
	set, err = param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.ReadWeights(root, set, m.Tensors(set), nil); err != nil {
		t.Fatal(err)
	}
	return root, files.Config, m, set
}

func golden(t *testing.T, dir string) {
	root, config, m, set := openGolden(t, dir)
	want, err := checkpoint.ReadTensors(root, "golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	const B = 2
	T := 7
	ints := func(name string) []int32 {
		out := make([]int32, len(want[name]))
		for i, f := range want[name] {
			out[i] = int32(f)
		}
		return out
	}
	batch := data.Batch{N: B, IDs: ints("ids"), Targets: ints("targets")}
	if c, ok := m.(model.Classifier); ok {
		batch.IDs, batch.Pixels, T = nil, want["pixels"], m.Context()
		if len(batch.Pixels) != B*c.Image().Size() {
			t.Fatalf("%d pixels", len(batch.Pixels))
		}
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	grads := set.NewSlab()
	b := graph.NewBuilder(set, graph.BuildOptions{Train: true})
	m.Loss(b, B, T, 0)
	mc, err := b.Lower(graph.LowerOptions{Pool: pool, Grads: grads})
	if err != nil {
		t.Fatal(err)
	}
	defer mc.Close()
	step := func() float64 {
		for _, err := range []error{batch.Feed(mc, 1/float32(len(batch.Targets))), mc.RunAll()} {
			if err != nil {
				t.Fatal(err)
			}
		}
		return float64(mc.Output("loss")[0])
	}

	bd := graph.NewBuilder(set, graph.BuildOptions{})
	m.Decode(bd, B, T, true)
	whole, err := bd.Lower(graph.LowerOptions{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if err := batch.FeedInputs(whole); err != nil {
		t.Fatal(err)
	}
	whole.RunAll()
	// Float32 sums of about twenty products of size one, in another order, through two layers.
	near(t, "logits", whole.Output("logits"), want["logits"], 2e-5)

	if loss := step(); math.Abs(loss-float64(want["loss"][0])) > 2e-6 {
		t.Errorf("loss is %.8f, PyTorch's %.8f", loss, want["loss"][0])
	}
	got := asTensors(t, config, m, set, grads)
	compared := 0
	for name, w := range want {
		if len(name) > 5 && name[:5] == "grad." {
			near(t, name, got[name[5:]], w, 4e-6)
			compared++
		}
	}
	if compared != len(got) {
		t.Errorf("%d of %d gradients compared", compared, len(got))
	}

	clear(grads.Data)
	o := optim.Default()
	o.LR, o.Clip = 1e-2, 1
	opt := optim.New(set, o)
	defer optim.Close(opt)
	for i, w := range want["steps"] {
		// AdamW's first steps are the sign of the gradient: rounding of a small
		// one moves its weight by a whole step, and grows from there.
		if loss := step(); math.Abs(loss-float64(w)) > 2e-4 {
			t.Errorf("loss before step %d is %.6f, PyTorch's %.6f", i+1, loss, w)
		}
		opt.Update(optim.Step{Pool: pool, Set: set, Grads: grads, LR: o.LR, Norm: optim.GradNorm(pool, grads)})
	}
}

// near compares within tol of the largest value.
func near(t *testing.T, name string, got, want []float32, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s has %d values, expected %d", name, len(got), len(want))
		return
	}
	top := 1e-3
	for _, w := range want {
		top = math.Max(top, math.Abs(float64(w)))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - float64(w)); !(d <= tol*math.Max(1, top)) {
			t.Errorf("%s[%d] is %g, PyTorch's %g", name, i, got[i], w)
			return
		}
	}
}

// asTensors is gradients by the names and layouts of a model's file: they are written as a
// model is, and read.
func asTensors(t *testing.T, config []byte, m model.Model, set *param.Set, grads *param.Slab) map[string][]float32 {
	weights := set.Weights
	set.Weights = grads
	defer func() { set.Weights = weights }()
	tmp := filepath.Join(t.TempDir(), "grads")
	if err := checkpoint.WriteDir(tmp, checkpoint.Model{Config: config}.Files(set, m.Tensors(set), "F32")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(tmp)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	out, err := checkpoint.ReadTensors(root, "model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

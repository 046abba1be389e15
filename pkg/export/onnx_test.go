package export

import (
	"path/filepath"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// An ONNX file has every shape, whatever other formats make of it.
func TestONNXHoldsTheModel(t *testing.T) {
	for _, c := range ggufCases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, c.sizes, c.config, c.cut)
			checkONNX(t, f, Options{Format: "onnx", DType: "F32"}, 1e-5)
		})
	}
	tied := llama
	tied.Tied = &yes
	perHead := merge(otherFFN, otherHeads, everywhere("vo", param.Keep{{0, 3}, {1, 2}, {5, 7}}), param.Cut{"layer.0.qk": {{1}, {0}, {3}}, "layer.2.qk": {{0, 1}, {1, 3}, {0, 3}}})
	for name, f := range map[string]*fixture{
		"llama, every head its own": newFixture(t, tied, "", perHead),
		"gpt2, erf":                 newFixture(t, gpt2, `{"model_type":"gpt2","vocab_size":99,"n_embd":24,"n_layer":1,"n_head":3,"n_positions":20,"activation_function":"gelu"}`, nil),
	} {
		t.Run(name, func(t *testing.T) {
			checkONNX(t, f, Options{Format: "onnx", DType: "F32"}, 1e-5)
			checkONNX(t, f, Options{Format: "onnx", DType: "F16"}, 8e-3)
			checkONNX(t, f, Options{Format: "onnx", DType: "F32", Embed: 100}, 1e-5)
		})
	}
}

// checkONNX writes and runs the model and compares the logits.
func checkONNX(t *testing.T, f *fixture, o Options, limit float64) {
	t.Helper()
	p, err := New(f.m, f.set, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := p.Write(path); err != nil {
		t.Fatal(err)
	}
	beside, err := filepath.Glob(path + ".data")
	if err != nil || (len(beside) == 1) != (o.Embed > 0) {
		t.Fatalf("external data: %v, %v", beside, err)
	}
	got, err := p.Check(path, f.pool, f.probe)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := Compare(got, f.logits(t), f.probe.Rows()); err != nil || d.Relative > limit || o.DType == "F16" && d.Largest == 0 {
		t.Fatalf("%s: logits differ: %+v, %v", o.DType, d, err)
	}
}

package model

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
)

// dino is a model of some keys, of images of 28 pixels and patches of 14.
func dino(t *testing.T, more string) *vit {
	t.Helper()
	m, err := Parse([]byte(`{"model_type":"dinov2","hidden_size":24,"num_hidden_layers":2,"num_attention_heads":3,"image_size":28,"patch_size":14` + more + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*vit)
}

// TestDINOv2Widths: mlp_ratio says the hidden channels, also of a narrower model.
func TestDINOv2Widths(t *testing.T) {
	for _, c := range []struct {
		more string
		ffn  int
		gone []int // what is left after a cut
	}{
		{``, 96, []int{95, 41, 7, 1}},
		{`,"mlp_ratio":2.67`, 64, []int{63, 29, 13}},
		{`,"use_swiglu_ffn":true`, 64, []int{56, 40, 8}},
		{`,"use_swiglu_ffn":true,"mlp_ratio":3.1`, 56, []int{48, 16}},
	} {
		m := dino(t, c.more)
		if m.Arch().FFN != c.ffn || m.Arch().Gated != strings.Contains(c.more, "swiglu") || m.Context() != 5 {
			t.Fatalf("%s: %d channels, gated %t, %d tokens; expected %d", c.more, m.Arch().FFN, m.Arch().Gated, m.Context(), c.ffn)
		}
		for _, ffn := range append(c.gone, c.ffn) {
			shaped, err := m.Shaped(Shape{FFN: ffn})
			if err != nil {
				t.Fatal(err)
			}
			if shaped["intermediate_size"] != nil {
				t.Errorf("%s: intermediate_size is written", c.more)
			}
			text, err := json.Marshal(shaped)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := Parse(text); err != nil || back.Arch().FFN != ffn {
				t.Errorf("%s: %d channels are written as mlp_ratio %v and read as %v, %v", c.more, ffn, shaped["mlp_ratio"], back, err)
			}
		}
	}
}

// TestDINOv2Refusals: what cannot be is refused by the key.
func TestDINOv2Refusals(t *testing.T) {
	for keys, want := range map[string]string{
		`"mlp_ratio":0`:                      "mlp_ratio is 0",
		`"mlp_ratio":0.001`:                  "mlp_ratio is 0.001",
		`"hidden_act":"relu"`:                "hidden_act",
		`"architectures":["Dinov2Backbone"]`: "architectures has Dinov2Backbone",
		`"architectures":["ViTModel"]`:       "architectures has ViTModel",
		`"image_size":50`:                    "image_size is 50, patch_size 16",
		`"use_swiglu_ffn":"yes"`:             "use_swiglu_ffn is a string",
		`"num_attention_heads":5`:            "divisible by heads",
	} {
		if _, err := Parse([]byte(`{"model_type":"dinov2",` + keys + `}`)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", keys, err, want)
		}
	}
	const crop = `{"image_processor_type":"BitImageProcessor","size":{"shortest_edge":32},"crop_size":{"height":%d,"width":%d},"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]}`
	err := dino(t, "").preprocess(fmt.Appendf(nil, crop, 20, 20))
	if err == nil || !strings.Contains(err.Error(), "crop_size gives pictures of 20 x 20, the model's image_size is 28") {
		t.Errorf("pictures of another size: %v", err)
	}
	if _, err := New(Sizes{Family: "dinov2", Layers: 1, Width: 12, Heads: 3, Vocab: 2, Context: 8}); err == nil || !strings.Contains(err.Error(), "give vit") {
		t.Errorf("a new model: %v", err)
	}
	if m := dino(t, `,"architectures":["Dinov2Model"],"use_mask_token":false`); !m.backbone || strings.Contains(fmt.Sprint(m.Specs()), "mask_token") {
		t.Error("a bare model without a mask token has one, or a classifier")
	}
}

// TestDINOv2OtherSize: a preprocessor_config.json that cuts pictures of another size than the
// model's makes it one of that size, with the positions that PyTorch interpolates
// (scripts/golden_dinov2.py); as such it is written and read back.
func TestDINOv2OtherSize(t *testing.T) {
	root, err := os.OpenRoot("../../testdata/dinov2")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	m, set, err := Read(root)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	want, err := checkpoint.ReadTensors(root, "golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if i := m.Arch().Image; i.Side != 6 || m.Context() != 10 {
		t.Fatalf("images of %d, %d tokens", i.Side, m.Context())
	}
	near := func(what string, got, want []float32) {
		t.Helper()
		for i, w := range want {
			if len(got) != len(want) || math.Abs(float64(got[i]-w)) > 1e-5 {
				t.Fatalf("%s: number %d of %d is not PyTorch's %g", what, i, len(got), w)
			}
		}
	}
	near("positions", set.Param("positions").Data(), want["positions"])
	b := graph.NewBuilder(set, graph.BuildOptions{})
	m.Decode(b, 2, m.Context(), true)
	pool := kernel.NewPool(1)
	defer pool.Close()
	mc, err := b.Lower(graph.LowerOptions{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	defer mc.Close()
	for _, err := range []error{mc.SetFloats("pixels", want["pixels"]...), mc.RunAll()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	near("logits", mc.Output("logits"), want["logits"])

	config, err := m.Config(set)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "m")
	if err := checkpoint.WriteDir(to, checkpoint.Model{Config: config}.Files(set, m.Tensors(set), "F32")); err != nil {
		t.Fatal(err)
	}
	_, back := readBert(t, to)
	near("positions read back", back.Param("positions").Data(), want["positions"])
}

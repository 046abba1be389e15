package export

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

func TestImageClassifiers(t *testing.T) {
	perHead := merge(otherFFN, otherHeads, everywhere("vo", param.Keep{{0, 3}, {1, 2}, {5, 7}}), everywhere("qk", every(3, 1, 2, 6)))
	for name, c := range map[string]struct {
		sizes model.Sizes
		cut   param.Cut
		gap   string
	}{
		"vit":                    {vit, nil, ""},
		"vit, narrower":          {vit, sameFFN, ""},
		"vit, any":               {vit, perHead, "3 columns of q and k and 2 of v"},
		"deit with a teacher":    {deit, nil, ""},
		"deit, heads and widths": {deit, merge(otherHeads, sameFFN), "2 K/V heads"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, c.sizes, "", c.cut)
			checkONNX(t, f, Options{Format: "onnx", DType: "F32"}, 1e-5)
			checkONNX(t, f, Options{Format: "onnx", DType: "F16"}, 2e-2)
			checkHF(t, f, c.gap)
			if _, err := New(f.m, f.set, Options{Format: "gguf", DType: "F32", Tokenizer: byteTokenizer(t)}); !errors.Is(err, ErrShape) {
				t.Errorf("gguf: got %v, expected ErrShape", err)
			}
		})
	}
}

// TestDINOv2Files: files of transformers hold one feed-forward width for all layers, of a
// gated network a multiple of 8; ONNX holds any.
func TestDINOv2Files(t *testing.T) {
	ffn := func(n int) param.Cut {
		c := param.Cut{}
		for i := range 2 {
			var kept []int
			for u := range n {
				kept = append(kept, (u+i)%(n+1))
			}
			slices.Sort(kept)
			c[param.InLayer(i, "ffn")] = param.Keep{kept}
		}
		return c
	}
	for name, c := range map[string]struct {
		dir string
		cut param.Cut
		gap string
	}{
		"whole":              {"dinov2", nil, ""},
		"narrower":           {"dinov2", ffn(13), ""},
		"gated":              {"dinov2-giant", nil, ""},
		"gated, narrower":    {"dinov2-giant", ffn(8), ""},
		"gated, not eighths": {"dinov2-giant", ffn(5), "needs 8 in every layer"},
		"vo":                 {"dinov2", param.Cut{"layer.0.vo": every(3, 1, 2)}, "2 of v"},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := os.ReadFile("../../testdata/golden/" + c.dir + "/config.json")
			if err != nil {
				t.Fatal(err)
			}
			f := newFixture(t, model.Sizes{}, string(config), c.cut)
			checkONNX(t, f, Options{Format: "onnx", DType: "F32"}, 1e-5)
			checkHF(t, f, c.gap)
		})
	}
}

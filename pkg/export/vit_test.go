package export

import (
	"errors"
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

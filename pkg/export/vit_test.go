package export

import (
	"errors"
	"path/filepath"
	"strings"
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
		"vit, any":               {vit, perHead, "7 feed-forward channels"},
		"deit with a teacher":    {deit, nil, ""},
		"deit, heads and widths": {deit, merge(otherHeads, sameFFN), "2 K/V heads"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, c.sizes, "", c.cut)
			checkONNX(t, f, Options{Format: "onnx", DType: "F32"}, 1e-5)
			checkONNX(t, f, Options{Format: "onnx", DType: "F16"}, 2e-2)
			o := Options{Format: "hf", DType: "F32"}
			p, err := New(f.m, f.set, o)
			if c.gap != "" {
				if !errors.Is(err, ErrShape) || !strings.Contains(err.Error(), "layer ") {
					t.Fatalf("got %v, expected ErrShape", err)
				}
				o.Pad = true
				p, err = New(f.m, f.set, o)
			}
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "m")
			if err := p.Write(dir); err != nil {
				t.Fatal(err)
			}
			got, err := p.Check(dir, f.pool, f.probe)
			if err != nil {
				t.Fatal(err)
			}
			if d, err := Compare(got, f.logits(t), f.probe.Rows()); err != nil || d.Relative > 1e-5 {
				t.Fatalf("logits differ: %+v, %v", d, err)
			}
			if _, err := New(f.m, f.set, Options{Format: "gguf", DType: "F32", Tokenizer: byteTokenizer(t)}); !errors.Is(err, ErrShape) {
				t.Errorf("gguf: got %v, expected ErrShape", err)
			}
		})
	}
}

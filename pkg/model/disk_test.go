package model

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestDiskRoundTrip writes a pruned model and reads it back through its own
// config.json, for every family and every float type.
func TestDiskRoundTrip(t *testing.T) {
	tied := true
	for name, s := range map[string]Sizes{
		"gpt2":  {Family: "gpt2", Layers: 2, Width: 12, Heads: 3, FFN: 10, Vocab: 7, Context: 9},
		"llama": {Family: "llama", Layers: 2, Width: 12, Heads: 4, KVHeads: 2, HeadDim: 6, FFN: 10, Vocab: 7, Context: 9},
		"vit":   {Family: "vit", Layers: 2, Width: 12, Heads: 3, FFN: 10, ImageSize: 8, PatchSize: 4, Channels: 1, Labels: 7},
		"deit":  {Family: "vit", Layers: 1, Width: 12, Heads: 3, FFN: 10, ImageSize: 8, PatchSize: 4, Labels: 7, Distilled: true},
		"tied":  {Family: "llama", Layers: 1, Width: 12, Heads: 2, FFN: 5, Vocab: 7, Context: 9, Tied: &tied},
	} {
		for _, dtype := range []string{"F32", "F16", "BF16"} {
			t.Run(name+" "+dtype, func(t *testing.T) {
				m, err := New(s)
				if err != nil {
					t.Fatal(err)
				}
				set, err := param.New(m.Specs())
				if err != nil {
					t.Fatal(err)
				}
				for i := range set.Weights.Data {
					set.Weights.Data[i] = float32(i%120) / 8 // exact in every type
				}
				lists := func(g int, l []int) (k param.Keep) {
					for range g {
						k = append(k, l)
					}
					return k
				}
				g := set.Dim("layer.0.kv").Size
				if err := set.Shrink(param.Cut{"layer.0.qk": lists(g, []int{0, 2}), "layer.0.vo": lists(g, []int{1}), "layer.0.ffn": {{0, 3, 4}}}); err != nil {
					t.Fatal(err)
				}
				config, err := m.Config(set)
				if err != nil {
					t.Fatal(err)
				}
				dir := filepath.Join(t.TempDir(), "model")
				if err := checkpoint.WriteDir(dir, checkpoint.Model{Config: config}.Files(set, m.Tensors(set), dtype)); err != nil {
					t.Fatal(err)
				}
				root, err := os.OpenRoot(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer root.Close()
				if err := checkpoint.Verify(root); err != nil {
					t.Fatal(err)
				}
				read, err := checkpoint.ReadModel(root)
				if err != nil {
					t.Fatal(err)
				}
				m2, err := Parse(read.Config)
				if err != nil {
					t.Fatal(err)
				}
				set2, err := param.New(m2.Specs())
				if err != nil {
					t.Fatal(err)
				}
				if err := m2.Restore(set2); err != nil {
					t.Fatal(err)
				}
				if err := checkpoint.ReadWeights(root, set2, m2.Tensors(set2), Ignorable); err != nil {
					t.Fatal(err)
				}
				for _, p := range set.Params {
					q := set2.Param(p.Name)
					for i, v := range p.Data() {
						if q.Data()[i] != v {
							t.Fatalf("%s[%d] is %g, expected %g", p, i, q.Data()[i], v)
						}
					}
				}
				again, err := m2.Config(set2)
				if err != nil || string(again) != string(config) {
					t.Errorf("config.json changes on the way (%v):\n%s\n%s", err, config, again)
				}
			})
		}
	}
}

// TestHeadlessFileIsAdvised: a file of all tensors but the head is told apart from one that is
// damaged: config.json does not say that the embedding is the head.
func TestHeadlessFileIsAdvised(t *testing.T) {
	sizes := Sizes{Family: "llama", Layers: 1, Width: 12, Heads: 2, FFN: 5, Vocab: 7, Context: 9, Tied: new(bool)}
	untied, err := New(sizes)
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(untied.Specs())
	if err != nil {
		t.Fatal(err)
	}
	config, err := untied.Config(set)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ lacks, want string }{
		{"lm_head.weight", `missing lm_head.weight: if the model has none but its embedding, config.json lacks "tie_word_embeddings": true`},
		{"model.norm.weight", "missing model.norm.weight"},
	} {
		var tensors []checkpoint.Tensor
		for _, x := range untied.Tensors(set) {
			if x.Name == c.lacks {
				x.Name = "x.attn.bias" // which is ignored
			}
			tensors = append(tensors, x)
		}
		dir := filepath.Join(t.TempDir(), "model")
		if err := checkpoint.WriteDir(dir, checkpoint.Model{Config: config}.Files(set, tensors, "F32")); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if _, _, err := Read(root); err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("without %s: %v, expected %s", c.lacks, err, c.want)
		}
	}
}

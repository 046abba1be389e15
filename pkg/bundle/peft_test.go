package bundle

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/folder"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
)

// logits of a bundle, with adapters that stand apart.
func logits(t *testing.T, b *Bundle, ids []int32) []float32 {
	t.Helper()
	pool := kernel.NewPool(1)
	defer pool.Close()
	build := graph.NewBuilder(b.Set, graph.BuildOptions{})
	if b.Adapters != nil {
		build.AdaptLinear(b.Adapters.Set, b.Adapters.Scale)
	}
	b.Model.Decode(build, 1, len(ids), true)
	mc, err := build.Lower(graph.LowerOptions{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	defer mc.Close()
	batch := data.Batch{N: 1, IDs: ids, Targets: ids}
	if err := batch.FeedInputs(mc); err != nil {
		t.Fatal(err)
	}
	if err := mc.RunAll(); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(mc.Output("logits"))
}

// apart is the largest difference, against the largest number.
func apart(a, b []float32) float64 {
	if len(a) != len(b) || len(a) == 0 {
		return math.Inf(1)
	}
	var d, top float64
	for i := range a {
		d, top = max(d, math.Abs(float64(a[i]-b[i]))), max(top, math.Abs(float64(b[i])))
	}
	return d / top
}

// TestPEFT: PEFT's adapters, folded in and kept apart, give PyTorch's logits, and so do
// those that are written again. scripts/golden_peft.py wrote the files.
func TestPEFT(t *testing.T) {
	dirs, err := filepath.Glob("testdata/peft/*")
	if err != nil || len(dirs) < 5 {
		t.Fatalf("%v, %v", dirs, err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			root, err := folder.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			want, err := checkpoint.ReadTensors(root, "golden.safetensors")
			if err != nil {
				t.Fatal(err)
			}
			ids := make([]int32, len(want["ids"]))
			for i, f := range want["ids"] {
				ids[i] = int32(f)
			}
			check := func(what, dir string, o Options) *Bundle {
				b, err := Open(dir, o)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(b.Close)
				if d := apart(logits(t, b, ids), want["logits"]); !(d < 1e-5) {
					t.Errorf("%s: logits differ from PyTorch's by %g of the largest", what, d)
				}
				if (b.Adapters != nil) != o.KeepAdapters || !b.LoRA.Enabled() {
					t.Errorf("%s: adapters %v of %+v", what, b.Adapters, b.LoRA)
				}
				return b
			}
			check("folded in", dir, Options{})
			kept := check("kept apart", dir, Options{KeepAdapters: true})
			base, err := filepath.Abs(filepath.Join(dir, kept.base(t, dir)))
			if err != nil {
				t.Fatal(err)
			}
			files, err := kept.AdapterDir(kept.Adapters, base)
			if err != nil {
				t.Fatal(err)
			}
			again := filepath.Join(t.TempDir(), "again")
			if err := checkpoint.WriteDir(again, files); err != nil {
				t.Fatal(err)
			}
			check("written again", again, Options{})
			b := check("written again, apart", again, Options{KeepAdapters: true})
			if !slices.Equal(b.Adapters.Set.Weights.Data, kept.Adapters.Set.Weights.Data) || b.Adapters.Scale != kept.Adapters.Scale {
				t.Error("adapters that were written are read as others")
			}
		})
	}
}

// base is what adapter_config.json says.
func (b *Bundle) base(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, adapterConfig))
	if err != nil {
		t.Fatal(err)
	}
	c, err := parsePEFT(text)
	if err != nil {
		t.Fatal(err)
	}
	return c.Base
}

// TestPEFTRefused: what is not read is named, with the reason, in one line.
func TestPEFTRefused(t *testing.T) {
	const source = "testdata/peft/llama"
	base, err := filepath.Abs("../../testdata/golden/llama")
	if err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string][2]string{
		"use_dora":                          {`"use_dora": false`, `"use_dora": true`},
		"modules_to_save":                   {`"modules_to_save": null`, `"modules_to_save": ["lm_head"]`},
		`peft_type is "IA3"`:                {`"LORA"`, `"IA3"`},
		`bias is "all"`:                     {`"bias": "none"`, `"bias": "all"`},
		"pissa":                             {`"init_lora_weights": true`, `"init_lora_weights": "pissa_niter_4"`},
		"hf download acme/big":              {base, "acme/big"},
		"has shape [2 20], expected [5 20]": {`"r": 2`, `"r": 5`},
		"expected 1 to 4096":                {`"r": 2`, `"r": 5000000`},
		"pattern":                           {`"v_proj"`, `"(?=v_proj)"`},
		"object":                            {`"rank_pattern": {`, `"rank_pattern": [3], "other": {`},
		"adapter_config.json":               {`{`, `{{`},
		"DoRA's":                            {"", "self_attn.q_proj.lora_A.weight q.lora_magnitude_vector"},
		"does not adapt":                    {"", "mlp mmm"},
		"lora_X.weight":                     {"", "q_proj.lora_A q_proj.lora_X"},
	} {
		dir := t.TempDir()
		for _, name := range []string{adapterConfig, peftWeights} {
			text, err := os.ReadFile(filepath.Join(source, name))
			if err != nil {
				t.Fatal(err)
			}
			put(t, dir, name, string(text))
		}
		edit(t, dir, adapterConfig, "../../../../../testdata/golden/llama", base)
		if change[0] != "" {
			edit(t, dir, adapterConfig, change[0], change[1])
		} else {
			old, new, _ := strings.Cut(change[1], " ")
			edit(t, dir, peftWeights, old, (new + strings.Repeat(" ", len(old)))[:len(old)])
		}
		b, err := Open(dir, Options{})
		if err == nil {
			b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") || fault.Of(err) != fault.Input {
			t.Errorf("%v (kind %d), expected one line about the input with %q", err, fault.Of(err), says)
		}
	}
}

// TestPEFTLeftOver: a file left beside a model that adapters were folded into is no adapter.
func TestPEFTLeftOver(t *testing.T) {
	dir := saved(t, small, map[string]string{adapterConfig: `{"alpha_pattern":{},"peft_type":"LORA","base_model_name_or_path":"acme/tiny","r":8}`})
	b, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	put(t, dir, peftPickle, "x")
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "safe_serialization") || fault.Of(err) != fault.Input {
		t.Errorf("adapters as a pickle: %v", err)
	}
}

// FuzzPEFTConfig: no text makes the reader of adapter_config.json panic.
func FuzzPEFTConfig(f *testing.F) {
	f.Add(`{"peft_type":"LORA","r":8,"rank_pattern":{"q_proj":4,"v_proj":2}}`)
	f.Add(`{"peft_type":"LORA","lora_alpha":null,"alpha_pattern":{"(":1}}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parsePEFT([]byte(text))
		if err != nil {
			return
		}
		if r, s, err := c.of("model.layers.0.q_proj"); err == nil && (r < 1 || math.IsNaN(s) || math.IsInf(s, 0)) {
			t.Errorf("rank %d, scale %g", r, s)
		}
	})
}

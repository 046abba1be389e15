package export

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestFamiliesExport: every decoder of testdata/golden, whole and pruned, is either
// written so that what reads the file back computes the same logits, or refused. Whole
// models and those with one feed-forward width are never refused where the format
// has the family.
func TestFamiliesExport(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/golden/*/config.json")
	if err != nil || len(paths) < 7 {
		t.Fatalf("found %v (%v)", paths, err)
	}
	paths = append(paths, "../../testdata/modernbert/config.json") // without a head
	for i := range 2 * len(paths) {
		path, deep := paths[i/2], i%2 == 1
		config := ofBytes(t, path, deep)
		if config == "" {
			continue
		}
		name := filepath.Base(filepath.Dir(path))
		if deep {
			name += " deep"
		}
		for cut, of := range map[string]func(*param.Set) param.Cut{"whole": noCut, "ffn": ffnCut, "attention": attentionCut, "layer": layerCut, "fewer": fewerCut} {
			if deep && cut != "whole" && cut != "attention" && cut != "fewer" || !deep && cut == "fewer" {
				continue
			}
			t.Run(name+" "+cut, func(t *testing.T) {
				f := newFixture(t, model.Sizes{}, config, nil)
				if err := f.set.Shrink(of(f.set)); err != nil {
					t.Fatal(err)
				}
				if w, _ := f.m.Head(f.set); w != nil && (!deep || cut == "fewer") {
					checkONNX(t, f, Options{Format: "onnx", DType: "F32"}, 1e-4) // soft caps: tanh of another library
				}
				for _, format := range []string{"hf", "gguf"} {
					held := format == "hf" || inGGUF(f.m)
					if cut == "fewer" { // layers that differ may no longer differ as llama.cpp has it
						held = format == "hf" || held && alike(f.m.Arch())
						f.roundTrip(t, format, false, held)
						continue
					}
					f.roundTrip(t, format, false, held && (cut == "whole" || cut == "ffn"))
					f.roundTrip(t, format, true, held && cut != "attention")
				}
			})
		}
	}
}

// inGGUF reports whether llama.cpp has the whole model.
func inGGUF(m model.Model) bool {
	g, a := m.Table().GGUF, m.Arch()
	return g != nil && g.Refuse == "" && (a.Windows == nil || g.Windows) && (a.Heads*a.HeadDim == a.Hidden || g.HeadDim && !(g.SquareQ && a.Bias[param.Q]))
}

// roundTrip writes and reads back; must says that a refusal is wrong.
func (f *fixture) roundTrip(t *testing.T, format string, pad, must bool) {
	t.Helper()
	p, err := New(f.m, f.set, Options{Format: format, DType: "F32", Tokenizer: byteTokenizer(t), EOS: -1, Pad: pad})
	if errors.Is(err, ErrShape) && !must {
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	path := filepath.Join(t.TempDir(), "out")
	if err := p.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := p.Check(path, f.pool, f.probe)
	if err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	if d, err := Compare(got, f.logits(t), f.probe.Rows()); err != nil || d.Relative > 5e-5 {
		t.Fatalf("%s, pad %t: logits differ: %+v, %v", format, pad, d, err)
	}
}

// ofBytes is a golden config with a vocabulary of bytes; deep gives it six layers that
// differ as the family's do. "" for images.
func ofBytes(t *testing.T, path string, deep bool) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	if c["vocab_size"] == nil {
		return ""
	}
	c["vocab_size"] = 258
	if deep {
		if c["num_hidden_layers"] == nil {
			return ""
		}
		c["num_hidden_layers"] = 6
		delete(c, "layer_types")
		if delete(c, "no_rope_layers"); c["no_rope_layer_interval"] != nil {
			c["no_rope_layer_interval"] = 4
		}
	}
	text, err = json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func noCut(*param.Set) param.Cut { return param.Cut{} }

// ffnCut leaves every layer three channels.
func ffnCut(set *param.Set) param.Cut {
	c := param.Cut{}
	for i := range set.Layers() {
		c[set.LayerDim(i, param.FFN).Name] = param.Keep{{i % 3, 3, 5}}
	}
	return c
}

// layerCut leaves the first layer fewer channels than the others.
func layerCut(set *param.Set) param.Cut {
	return param.Cut{set.LayerDim(0, param.FFN).Name: param.Keep{{1, 4}}}
}

// fewerCut takes two whole layers of six.
func fewerCut(*param.Set) param.Cut {
	return param.Cut{param.WholeLayer(1): param.Keep{{}}, param.WholeLayer(4): param.Keep{{}}}
}

// attentionCut takes the last unit of q and k and of v, in every head.
func attentionCut(set *param.Set) param.Cut {
	c := param.Cut{}
	for i := range set.Layers() {
		for _, kind := range []param.Kind{param.QK, param.VO} {
			d := set.LayerDim(i, kind)
			for range max(1, set.Dim(d.Per).Size) {
				var l []int
				for u := range d.Size - 1 {
					l = append(l, u)
				}
				c[d.Name] = append(c[d.Name], l)
			}
		}
	}
	return c
}

package cmd

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/checkpoint"

	"github.com/ecospa/ecospa/pkg/workload"
)

const minilm = "../testdata/minilm"

// TestEmbedIsPyTorch: vectors of texts of different lengths are those of a PyTorch program
// (scripts/golden_bert.py, scripts/golden_modernbert.py), whatever the batch is.
func TestEmbedIsPyTorch(t *testing.T) {
	for _, dir := range []string{minilm, "../testdata/modernbert"} {
		t.Run(filepath.Base(dir), func(t *testing.T) { embedIsPyTorch(t, dir) })
	}
}

func embedIsPyTorch(t *testing.T, source string) {
	root, err := os.OpenRoot(source)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	want, err := checkpoint.ReadTensors(root, "vectors.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	bare := t.TempDir() // without what sentence-transformers adds
	for _, f := range []string{"config.json", "model.safetensors", "tokenizer.json", "sentence_bert_config.json"} {
		text, err := os.ReadFile(filepath.Join(source, f))
		if err == nil {
			err = os.WriteFile(filepath.Join(bare, f), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		model, want string
		flags       []string
	}{
		"as the files say":      {source, "mean.normalized", nil},
		"one text a pass":       {source, "mean.normalized", []string{"--batch", "1"}},
		"mean":                  {bare, "mean", []string{"--pooling", "mean", "--batch", "3"}},
		"mean, then normalized": {bare, "mean.normalized", []string{"--pooling", "mean", "--normalize"}},
		"first token":           {bare, "cls", []string{"--pooling", "cls"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, ext := range []string{".npy", ".jsonl"} {
				out := filepath.Join(t.TempDir(), "v"+ext)
				code, stdout, stderr := runCommand(t, t.Context(), append([]string{"ecospa", "embed", "--model", c.model, "--data", source + "/texts.jsonl", "--out", out, "--json"}, c.flags...)...)
				var r workload.EmbeddingResult
				if err := json.Unmarshal([]byte(stdout), &r); code != exitOK || err != nil {
					t.Fatalf("exit %d, %v: %s", code, err, stderr)
				}
				if r.Texts != 4 || r.Width != 18 || r.Cut != 1 || r.MaxTokens != 12 {
					t.Errorf("result is %+v", r)
				}
				got := readVectors(t, out)
				if len(got) != len(want[c.want]) {
					t.Fatalf("%d numbers, expected %d", len(got), len(want[c.want]))
				}
				for i, w := range want[c.want] {
					if math.Abs(float64(got[i]-w)) > 1e-5 {
						t.Fatalf("number %d is %g, PyTorch's %g", i, got[i], w)
					}
				}
			}
		})
	}
}

// TestEmbedGGUF: a GGUF file says the pooling; what is pruned from it says it still.
func TestEmbedGGUF(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	texts := minilm + "/texts.jsonl"
	mustRun(t, "ecospa", "export", "--model", minilm, "--format", "gguf", "--dtype", "f32", "--out", at("m.gguf"))
	writeTexts(t, at("texts.jsonl"))
	mustRun(t, "ecospa", "prune", "--from", at("m.gguf"), "--data", at("texts.jsonl"), "--target", "0.9x", "--recover", "none", "--out", at("small"))
	for name, model := range map[string]string{"want": minilm, "file": at("m.gguf"), "pruned": at("small")} {
		mustRun(t, "ecospa", "embed", "--model", model, "--data", texts, "--out", at(name+".npy"))
	}
	want, got := readVectors(t, at("want.npy")), readVectors(t, at("file.npy"))
	for i, w := range want {
		// The file's maximum is the model's, not that of sentence_bert_config.json: the third text is longer.
		if i/18 != 2 && math.Abs(float64(got[i]-w)) > 1e-5 {
			t.Fatalf("number %d is %g from the GGUF file, %g from the model", i, got[i], w)
		}
	}
}

// readVectors reads what embed wrote: float32 behind a NumPy header, or JSON lines.
func readVectors(t *testing.T, path string) (out []float32) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(path) == ".npy" {
		head := 10 + int(binary.LittleEndian.Uint16(text[8:]))
		if head%64 != 0 || !bytes.Contains(text[:head], []byte("'descr': '<f4', 'fortran_order': False, 'shape': (4, 18)")) {
			t.Errorf("header is %q", text[:head])
		}
		for at := head; at < len(text); at += 4 {
			out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(text[at:])))
		}
		return out
	}
	for line := range strings.Lines(string(text)) {
		var v []float32
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v...)
	}
	return out
}

// TestEncodersAreRefused where a model has to continue text, with the reason.
func TestEncodersAreRefused(t *testing.T) {
	data := minilm + "/texts.jsonl"
	for _, c := range []struct{ args, want string }{
		{"generate --model " + minilm + " --prompt cat", "encoder and cannot continue text"},
		{"eval --model " + minilm + " --data " + data, "it has no loss of its own"},
		{"finetune --from " + minilm + " --out run --data " + data, "there is no loss to train on"},
		{"eval --model ../testdata/golden/bert --data " + data, "holds no tokenizer.json"},
		{"pretrain --out run --data " + data + " --config ../testdata/bert.yaml --set tokenizer.path=", "give tokenizer.path"},
		{"embed --model ../testdata/golden/bert --out v.npy --data " + data, "holds no tokenizer.json"},
		{"embed --model ../testdata/golden/llama --out v.npy --data " + data, "is not an encoder"},
		{"embed --model " + minilm + " --out v.txt --data " + data, ".npy or .jsonl"},
		{"embed --model " + minilm + " --out v.npy --pooling max --data " + data, "expected mean or cls"},
	} {
		if code, _, stderr := runCommand(t, t.Context(), strings.Fields("ecospa "+c.args)...); code == exitOK || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit %d, %q, expected %q", c.args, code, stderr, c.want)
		}
	}
}

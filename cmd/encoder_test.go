package cmd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/workload"
)

// TestEncoderWithoutHeadIsPruned: MiniLM as sentence-transformers ships it is pruned by
// what a cut does to its vectors, recovered against the model before, and written with the
// files that say how texts become vectors, as is what export writes of it.
func TestEncoderWithoutHeadIsPruned(t *testing.T) {
	dir := t.TempDir()
	texts := filepath.Join(dir, "texts.jsonl")
	writeTexts(t, texts)
	command := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := runCommand(t, t.Context(), append([]string{"ecospa"}, args...)...)
		if code != exitOK {
			t.Fatalf("%s: exit %d: %s", args, code, stderr)
		}
		return stdout
	}
	var cut, recovered prune.Report
	for out, r := range map[string]*prune.Report{"cut": &cut, "recovered": &recovered} {
		args := []string{"prune", "--from", minilm, "--data", texts, "--out", filepath.Join(dir, out), "--target", "0.7x", "--of", "prunable", "--json"}
		budget := "none"
		if out == "recovered" {
			budget = "60k"
		}
		args = append(args, "--recover", budget)
		if err := json.Unmarshal([]byte(command(args...)), r); err != nil {
			t.Fatal(err)
		}
	}
	if cut.Before.Loss > 1e-6 || cut.Before.Perplexity != 0 || cut.Before.TextsPerS <= 0 {
		t.Errorf("before: %+v, expected the model itself, in texts", cut.Before)
	}
	if x := cut.After.Loss; x < 1e-5 || x > 0.5 {
		t.Errorf("the cut moves vectors by %g", x)
	}
	if !(recovered.After.Loss < cut.After.Loss) || recovered.After.Params >= recovered.Before.Params {
		t.Errorf("1 - cosine %g after the cut, %g after recovery", cut.After.Loss, recovered.After.Loss)
	}
	// llama.cpp's form, which is read back and compared when it is written.
	command("export", "--model", minilm, "--format", "gguf", "--dtype", "f32", "--out", filepath.Join(dir, "m.gguf"))
	if code, _, stderr := runCommand(t, t.Context(), "ecospa", "export", "--model", "../testdata/golden/bert", "--format", "gguf", "--out", filepath.Join(dir, "no.gguf")); code == exitOK || !strings.Contains(stderr, "no masked-language-model head") {
		t.Errorf("a head in a GGUF file: exit %d, %s", code, stderr)
	}
	hf := filepath.Join(dir, "hf")
	command("export", "--model", filepath.Join(dir, "cut"), "--format", "hf", "--pad", "--out", hf)
	for _, m := range []string{"cut", "hf"} {
		for _, f := range []string{"modules.json", "1_Pooling/config.json", "sentence_bert_config.json"} {
			want, err := os.ReadFile(filepath.Join(minilm, f))
			got, err2 := os.ReadFile(filepath.Join(dir, m, f))
			if err != nil || err2 != nil || string(got) != string(want) {
				t.Errorf("%s/%s is not the source's (%v, %v)", m, f, err, err2)
			}
		}
		command("embed", "--model", filepath.Join(dir, m), "--data", texts, "--out", filepath.Join(dir, m+".jsonl"))
	}
	a, b := readVectors(t, filepath.Join(dir, "cut.jsonl")), readVectors(t, filepath.Join(dir, "hf.jsonl"))
	for i := range a {
		if d := a[i] - b[i]; d > 1e-5 || d < -1e-5 {
			t.Fatalf("number %d is %g of the pruned model and %g of its export", i, a[i], b[i])
		}
	}
	// What was written makes way for another, folders and all; a file that is not ours does not.
	command("prune", "--from", minilm, "--data", texts, "--out", filepath.Join(dir, "cut"), "--target", "0.9x", "--force", "--recover", "none")
	if err := os.WriteFile(filepath.Join(dir, "cut", "1_Pooling", "notes"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runCommand(t, t.Context(), "ecospa", "prune", "--from", minilm, "--data", texts, "--out", filepath.Join(dir, "cut"), "--target", "0.9x", "--force", "--recover", "none"); code == exitOK || !strings.Contains(stderr, "1_Pooling/notes") {
		t.Errorf("a folder with a file of somebody else: exit %d, %s", code, stderr)
	}
}

// TestMaskedLanguageModel: a BERT is learned from nothing, goes on after a stop as if there
// had been none, is measured twice alike, fine-tuned, pruned with recovery, and read again.
func TestMaskedLanguageModel(t *testing.T) {
	dir := t.TempDir()
	command := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := runCommand(t, t.Context(), append([]string{"ecospa"}, args...)...)
		if code != exitOK {
			t.Fatalf("%s: exit %d: %s", args, code, stderr)
		}
		return stdout
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	eval := func(name string) (r workload.TextResult) {
		t.Helper()
		if err := json.Unmarshal([]byte(command("eval", "--model", at(name), "--data", minilm+"/texts.jsonl", "--json")), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	run := []string{"pretrain", "--config", "../testdata/bert.yaml"}
	if out := command(append(run, "--out", at("run"), "--steps", "4")...); strings.Contains(out, "generate") {
		t.Errorf("an encoder is said to generate: %s", out)
	}
	command(append(run, "--out", at("stopped"), "--steps", "2")...)
	command("pretrain", "--resume", "--out", at("stopped"), "--steps", "4")
	a, b := eval("run"), eval("stopped")
	if a.Bytes != nil || a.BitsPerB != nil {
		t.Errorf("masked tokens are a part of the text, and it has %v bytes", *a.Bytes)
	}
	command("report", at("run"))
	for _, line := range strings.Split(page(t, at("run")), "\n") {
		if strings.Contains(line, "What to type next") && (strings.Contains(line, "generate") || !strings.Contains(line, "ecospa embed --model")) {
			t.Errorf("the report of an encoder suggests %s", line)
		}
	}
	command("embed", "--model", at("run"), "--data", minilm+"/texts.jsonl", "--pooling", "mean", "--out", at("v.npy")) // as it suggests
	if a.Loss != b.Loss || a.Loss != eval("run").Loss || a.Tokens < 4 || a.Loss > 5 {
		t.Errorf("%+v in one go, %+v with a stop", a, b)
	}
	command("finetune", "--from", at("run"), "--data", minilm+"/texts.jsonl", "--out", at("tuned"), "--steps", "3")
	command("prune", "--from", at("tuned"), "--data", minilm+"/texts.jsonl", "--out", at("pruned"), "--target", "0.8x", "--of", "prunable", "--recover", "2k")
	if p := eval("pruned"); p.Params >= a.Params || !(p.Loss < 5) {
		t.Errorf("after pruning: %+v", p)
	}
}

// page is the report of a run.
func page(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

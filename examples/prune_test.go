package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// TestPrune builds and runs examples/prune, a program of fewer than 40 lines: what it
// writes opens, with half of the parameters.
func TestPrune(t *testing.T) {
	source, err := os.ReadFile("prune/main.go")
	if n := strings.Count(string(source), "\n"); err != nil || n >= 40 {
		t.Errorf("the program has %d lines (%v), expected under 40", n, err)
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	m, err := model.New(model.Sizes{Family: "llama", Layers: 2, Width: 32, Heads: 4, KVHeads: 2, FFN: 160, Vocab: 256, Context: 32})
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	set.Init(1)
	b := &bundle.Bundle{Model: m, Set: set, Tokenizer: tokenizer.Bytes{}}
	if err := b.Save(at("model"), bundle.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("the cat sat on a mat. ", 200)
	if err := os.WriteFile(at("text.txt"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", at("prune"), "./prune").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command(at("prune"), at("model"), at("text.txt"), at("smaller")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	smaller, err := bundle.Open(at("smaller"), bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer smaller.Close()
	if was, is := set.Count(), smaller.Set.Count(); is > was/2 || is < was/3 || smaller.Model.Vocab() != 256 {
		t.Errorf("%d parameters of %d are left, expected about half", is, was)
	}
	out, err := exec.Command(at("prune"), at("model"), at("no.txt"), at("none")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no.txt") {
		t.Errorf("a text that is not there: %v, %s", err, out)
	}
}

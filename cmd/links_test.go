package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLinksOutOfAModelDirectoryAreRefused: a model directory may come from a
// stranger; no command follows a link out of it, or an index that points there.
func TestLinksOutOfAModelDirectoryAreRefused(t *testing.T) {
	tmp := t.TempDir()
	_, o := tiny(t, filepath.Join(tmp, "run"))
	if _, err := trainJob(t, o); err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(tmp, "model")
	if err := os.CopyFS(model, os.DirFS(filepath.Join(tmp, "run", "state", "newest"))); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(tmp, "text.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("Anna was a small fox. ", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	commands := map[string]func(dir string) []string{
		"inspect":  func(dir string) []string { return []string{"inspect", "--model", dir} },
		"eval":     func(dir string) []string { return []string{"eval", "--model", dir, "--data", text} },
		"generate": func(dir string) []string { return []string{"generate", "--model", dir, "--prompt", "a"} },
		"prune": func(dir string) []string {
			return []string{"prune", "--from", dir, "--data", text, "--target", "0.99x", "--force", "--out", filepath.Join(tmp, "pruned")}
		},
		"export": func(dir string) []string {
			return []string{"export", "--model", dir, "--format", "gguf", "--pad", "--force", "--out", filepath.Join(tmp, "x.gguf")}
		},
	}
	for command, args := range commands {
		if code, _, log := run(t, t.Context(), append([]string{"ecospa"}, args(model)...)...); code != exitOK {
			t.Fatalf("%s of the model itself: exit code %d\n%s", command, code, log)
		}
	}
	for _, file := range []string{"config.json", "model.safetensors", "tokenizer.json"} {
		for name, make := range map[string]func(path string) error{
			"link":          func(p string) error { return os.Symlink(filepath.Join(model, file), p) },
			"relative link": func(p string) error { return os.Symlink(filepath.Join("..", "model", file), p) },
			"directory":     func(p string) error { return os.Mkdir(p, 0o755) },
		} {
			dir := filepath.Join(tmp, "evil")
			if err := os.CopyFS(dir, os.DirFS(model)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, file)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			for command, args := range commands {
				if command == "inspect" && file != "config.json" {
					continue // it does not look at it
				}
				code, _, log := run(t, t.Context(), append([]string{"ecospa"}, args(dir)...)...)
				if code != exitBadInput || !strings.Contains(lastLine(log), file) {
					t.Errorf("%s with a %s as %s: exit code %d: %s", command, name, file, code, lastLine(log))
				}
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	// An index that points out of the directory.
	dir := filepath.Join(tmp, "evil")
	if err := os.CopyFS(dir, os.DirFS(model)); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"../model/model.safetensors", model + "/model.safetensors", "sub/model.safetensors", `..\\model\\model.safetensors`} {
		os.Remove(filepath.Join(dir, "model.safetensors"))
		index := filepath.Join(dir, "model.safetensors.index.json")
		if err := os.WriteFile(index, []byte(`{"weight_map": {"model.embed_tokens.weight": "`+to+`"}}`), 0o644); err != nil {
			t.Fatal(err)
		}
		code, _, log := run(t, t.Context(), append([]string{"ecospa"}, commands["eval"](dir)...)...)
		if code != exitBadInput || !strings.Contains(lastLine(log), "expected the name of a .safetensors file of the same directory") {
			t.Errorf("an index to %s: exit code %d: %s", to, code, lastLine(log))
		}
	}
}

package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/configs"
	"github.com/ecospa/ecospa/internal/shell"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/export"
	"github.com/ecospa/ecospa/pkg/model"
)

func TestComplete(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a.yaml", "b.txt", "m.gguf", "runs/one/config.json", ".hidden/x"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(words ...string) []string {
		code, out, log := runCommand(t, t.Context(), append(append([]string{"ecospa"}, words...), shell.CompleteFlag)...)
		if code != exitOK || log != "" {
			t.Fatalf("%v: exit code %d: %s", words, code, log)
		}
		return strings.Fields(out)
	}
	for _, c := range []struct {
		words []string
		want  []string
	}{
		{[]string{"pru"}, []string{"prune"}},
		{[]string{"bench", "s"}, []string{"step"}},
		{[]string{"prune", "--criterion", ""}, coupled.Criteria()},
		{[]string{"export", "--format", ""}, export.Formats()},
		{[]string{"bench", "step", "-m", ""}, model.Names()},
		{[]string{"pretrain", "-c", ""}, append(configs.Names(), "a.yaml", "runs/")},
		{[]string{"bench", "paper", "-c", ""}, []string{"a.yaml", "runs/"}},
		{[]string{"prune", "--for", "gguf-q"}, []string{"gguf-qwen2", "gguf-qwen3"}},
		{[]string{"prune", "--dtype", ""}, []string{"f32", "f16", "bf16"}},
		{[]string{"export", "--dtype", ""}, export.DTypes()},
		{[]string{"eval", "--format", ""}, data.Formats()},
		{[]string{"eval", "--weights", "q"}, []string{"q8_0"}},
		{[]string{"finetune", "--set", "model.family=q"}, []string{"model.family=qwen2", "model.family=qwen3"}},
		{[]string{"pretrain", "--set", "train.st"}, []string{"train.steps="}},
		{[]string{"data", "prepare", "--data", "b"}, []string{"b.txt"}},
		{[]string{"data", "sample", "-m", ""}, []string{"m.gguf", "runs/"}},
		{[]string{"report", "--sort", "l"}, []string{"loss"}},
		{[]string{"prune", "--from", ""}, []string{"m.gguf", "runs/"}},
		{[]string{"eval", "--model", "runs/"}, []string{"runs/one/"}},
		{[]string{"prune", "--data", "b"}, []string{"b.txt"}},
		{[]string{"report", "ru"}, []string{"runs/"}},
		{[]string{"completion", "z"}, []string{"zsh"}},
		{[]string{"--v"}, []string{"--version"}},
		{[]string{"prune", "--seed", ""}, nil},
	} {
		if got := ask(c.words...); !slices.Equal(got, c.want) {
			t.Errorf("%q completes to %v, expected %v", c.words, got, c.want)
		}
	}
	if got := ask(""); !slices.Contains(got, "pretrain") || !slices.Contains(got, "bench") {
		t.Errorf("commands are %v", got)
	}
	if got := ask("prune", "--"); !slices.Contains(got, "--target") || !slices.Contains(got, "--help") {
		t.Errorf("prune -- completes to %v", got)
	}
}

// TestEveryListCompletes: a flag whose help names its values completes to values.
func TestEveryListCompletes(t *testing.T) {
	var out bytes.Buffer
	app := newApp(nil, &out, &out)
	flags := map[string]bool{}
	for _, c := range append(app.Commands, app.Command("bench").Subcommands...) {
		for _, f := range c.Flags {
			flags[f.Names()[0]] = true
		}
	}
	for name := range values {
		if !flags[name] {
			t.Errorf("no command has a flag --%s", name)
		}
	}
	for name := range extensions {
		if !flags[name] {
			t.Errorf("no command has a flag --%s", name)
		}
	}
	// What a flag's help lists, "NAME: a, b or c", is what it completes to.
	everyCommand(func(name string, c *cli.Command) {
		if name == "bench step" || name == "bench infer" {
			return // their --model is a name and no file, and TestComplete asks for it
		}
		for _, f := range c.Flags {
			usage := f.(cli.DocGenerationFlag).GetUsage()
			listed := regexp.MustCompile("`[A-Z]+`: ((?:[a-z0-9_-]+, )*[a-z0-9_-]+,? or [a-z0-9_-]+|(?:[a-z0-9_-]+, )+[a-z0-9_-]+)").FindStringSubmatch(usage)
			if listed == nil {
				continue
			}
			want := regexp.MustCompile(", or | or |, ").Split(listed[1], -1)
			got := hints.Of(c, f.Names()[0], "")
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s --%s completes to %v, its help says %v", name, f.Names()[0], got, want)
			}
		}
	})
}

func TestHelpAndVersion(t *testing.T) {
	if out, _ := mustRun(t, "ecospa", "-h"); !strings.Contains(out, "COMMANDS") {
		t.Errorf("-h prints %q", out)
	}
	if out, _ := mustRun(t, "ecospa", "--help"); !strings.Contains(out, "EXIT STATUS") {
		t.Errorf("--help prints %q", out)
	}
	for want, args := range map[string][]string{
		"COMMANDS": {"help"}, "ecospa prune": {"help", "prune"}, "ecospa bench step": {"help", "bench", "step"}, "ecospa version " + Version: {"version"},
	} {
		if out, _ := mustRun(t, append([]string{"ecospa"}, args...)...); !strings.Contains(out, want) {
			t.Errorf("%v prints %q, expected %q in it", args, out, want)
		}
	}
	if code, _, _ := runCommand(t, t.Context(), "ecospa", "help", "nothing"); code != exitUsage {
		t.Errorf("help nothing: exit code %d", code)
	}
	out, _ := mustRun(t, "ecospa", "bench", "--help")
	for _, want := range []string{"step", "infer", "paper", "compare", "llama-60m"} {
		if !strings.Contains(out, want) {
			t.Errorf("bench --help lacks %q", want)
		}
	}
}

package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/data"
)

// quicker are the settings with which a subcommand of a page is run here.
var quicker = map[string][]string{
	"pretrain": {
		"--set", "train.steps=12", "--set", "train.batch=2", "--set", "train.context=32", "--set", "train.eval_tokens=200", "--set", "train.sample=4", "--set", "tokenizer.vocab=300",
		"--set", "model.layers=2", "--set", "model.width=64", "--set", "model.ffn=96", "--set", "model.heads=4", "--set", "model.kv_heads=2", "--set", "checkpoint.every=0",
	},
	"finetune": {"--set", "train.steps=4", "--set", "train.batch=2", "--set", "train.context=32", "--set", "train.eval_tokens=200", "--set", "train.sample=4"},
	"prune":    {"--sequences", "8", "--evaluations", "40", "--eval-tokens", "200"},
	"eval":     {"--limit", "300"},
}

// words splits a command line as a shell does, as far as the pages need it.
func words(line string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		out = append(out, m[1]+m[2])
	}
	return out
}

// shellLines are the lines of a page's sh blocks.
func shellLines(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(m[1]) {
			line, _, _ = strings.Cut(line, " #")
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				out = append(out, line)
			}
		}
	}
	return out
}

// bookAt makes a directory to work in: the configs and a text.
func bookAt(t *testing.T) {
	t.Helper()
	configs, err := filepath.Abs("../configs")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.Symlink(configs, "configs"); err != nil {
		t.Fatal(err)
	}
	c := data.DefaultConfig()
	c.Synthetic, c.Bytes = "stories", "40KB"
	corpus, err := data.Load(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("book.txt", corpus.Train.Text(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTutorial runs every command of docs/tutorial.md, one after another.
func TestTutorial(t *testing.T) {
	lines := shellLines(t, "../docs/tutorial.md")
	if len(lines) < 12 {
		t.Fatalf("docs/tutorial.md has %d commands", len(lines))
	}
	bookAt(t)
	used := map[string]bool{}
	for _, line := range lines {
		args := words(line)
		if args[0] != "ecospa" {
			t.Fatalf("%q is not a command of this program; other programs' stand in console blocks", line)
		}
		used[args[1]] = true
		t.Log(line)
		out, log := mustRun(t, append(args, quicker[args[1]]...)...)
		if out+log == "" {
			t.Errorf("%q says nothing", line)
		}
	}
	for _, c := range []string{"pretrain", "finetune", "prune", "eval", "generate", "inspect", "export", "report", "doctor"} {
		if !used[c] {
			t.Errorf("the tutorial does not show %s", c)
		}
	}
	for _, f := range []string{"book.html", "small.gguf", "shrunk.gguf", "models/small-hf/config.json"} {
		if s, err := os.Stat(f); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// TestChatTutorial runs every command of docs/tutorial-chat.md, one after another.
func TestChatTutorial(t *testing.T) {
	lines := shellLines(t, "../docs/tutorial-chat.md")
	if len(lines) < 9 {
		t.Fatalf("docs/tutorial-chat.md has %d commands", len(lines))
	}
	bookAt(t)
	var chats, pairs strings.Builder
	for i := range 24 {
		fmt.Fprintf(&chats, `{"messages":[{"role":"user","content":"Who had nut %d?"},{"role":"assistant","content":"The crow had it."}]}`+"\n", i)
		fmt.Fprintf(&pairs, `{"prompt":"Nut %d?","chosen":"The crow.","rejected":"Who?"}`+"\n", i)
	}
	for name, text := range map[string]string{"chats.jsonl": chats.String(), "pairs.jsonl": pairs.String()} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range lines {
		args := append(words(line), quicker[words(line)[1]]...)
		if strings.Contains(line, "--find-lr") {
			args = append(args, "--steps", "20")
		}
		if strings.Contains(line, "train.epochs") {
			args = append(words(line), "--set", "train.batch=8", "--set", "train.context=32") // epochs decide, not steps
		}
		if out, log := mustRun(t, args...); out+log == "" {
			t.Errorf("%q says nothing", line)
		}
	}
	for _, f := range []string{"assistant.html", "assistant.gguf", "models/assistant/config.json"} {
		if s, err := os.Stat(f); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// TestReadmeCommands holds that every command of the README has flags that exist.
func TestReadmeCommands(t *testing.T) {
	n := 0
	app := newApp(strings.NewReader(""), os.Stdout, os.Stderr)
	for _, line := range shellLines(t, "../README.md") {
		args := words(strings.TrimPrefix(strings.Replace(line, "go run .", "ecospa", 1), "./"))
		if args[0] != "ecospa" {
			continue
		}
		n++
		c := app.Command(args[1])
		if c != nil && len(c.Subcommands) > 0 && len(args) > 2 {
			for _, s := range c.Subcommands {
				if s.Name == args[2] {
					c = s
				}
			}
		}
		if c == nil {
			t.Errorf("%q: no such command", line)
			continue
		}
		known := map[string]bool{"help": true}
		for _, f := range c.Flags {
			for _, name := range f.Names() {
				known[name] = true
			}
		}
		for _, a := range args[2:] {
			if name := strings.TrimLeft(a, "-"); name != a && !known[name] {
				t.Errorf("%q: no flag %s", line, a)
			}
		}
	}
	if n < 5 {
		t.Errorf("the README has %d commands", n)
	}
}

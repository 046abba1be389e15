package cmd

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// everyCommand calls f for each command that does something, with its full name.
func everyCommand(f func(name string, c *cli.Command)) {
	var walk func(prefix string, list []*cli.Command)
	walk = func(prefix string, list []*cli.Command) {
		for _, c := range list {
			if name := prefix + c.Name; len(c.Subcommands) > 0 {
				walk(name+" ", c.Subcommands)
			} else {
				f(name, c)
			}
		}
	}
	walk("", newApp(strings.NewReader(""), io.Discard, io.Discard).Commands)
}

// TestFlagsOfTheField: whatever computes takes --threads and -t, and a model, an output, a
// prompt and a number of tokens have the short forms that other programs of the field have.
func TestFlagsOfTheField(t *testing.T) {
	still := []string{"inspect", "report", "config list", "config show", "completion", "man", "help", "version", "bench wire"} // compute nothing, or only send
	short := map[string]string{"model": "m", "prompt": "p", "tokens": "n", "threads": "t", "out": "o", "config": "c"}
	everyCommand(func(name string, c *cli.Command) {
		has := map[string]bool{}
		for _, f := range c.Flags {
			names := f.Names()
			for _, n := range names {
				if has[n] {
					t.Errorf("%s has two flags -%s", name, n)
				}
				has[n] = true
			}
			if s := short[names[0]]; s != "" && !slices.Contains(names, s) {
				t.Errorf("%s: --%s has no short form -%s", name, names[0], s)
			}
		}
		if computes := !slices.Contains(still, name); computes != has["threads"] || computes != has["t"] {
			t.Errorf("%s: --threads and -t are %v and %v", name, has["threads"], has["t"])
		}
	})
}

// TestTablesFitATerminal: no line that a command prints as its result is longer than 80
// columns, but for names of files; internal/bench has the same of what it measures.
func TestTablesFitATerminal(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("t.txt", []byte(strings.Repeat("Anna was a small fox who lived by the river.\n", 120)), 0o644); err != nil {
		t.Fatal(err)
	}
	run := small("m", "train.steps=12", "prune.target=0.8x")
	run[3] = "quickstart"
	wide := func(args []string, out string) {
		for line := range strings.Lines(out) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
				t.Errorf("%s: %d columns: %s", strings.Join(args[1:], " "), n, line)
			}
		}
	}
	out, _ := mustRun(t, run...)
	before, _, _ := strings.Cut(out, "The model writes:") // a text has lines of its own
	_, after, _ := strings.Cut(out, "\nNext ")            // and names of files are as long as they are
	wide(run, before+after)
	for _, line := range []string{
		"inspect m", "eval -m m --data t.txt", "eval -m m --data t.txt --importance --sequences 4 --context 16", "eval -m m --data t.txt --sensitivity --sequences 4 --context 16",
		"prune --from m --data t.txt --target 0.9x --sequences 8 --context 16 --recover none -o p", "prune --from m --data t.txt --ratio ffn=0.5 --sequences 8 --context 16 --dry-run",
		"report m", "config list",
		"data prepare --data t.txt -m m -o shards", "data sample -m m --count 2 -n 4 -o s.jsonl", "version",
	} {
		args := append([]string{"ecospa"}, strings.Fields(line)...)
		out, _ := mustRun(t, args...)
		wide(args, out)
	}
}

// TestNothingIsMadeOfAMistake: a command that cannot do what it is asked for leaves no file
// and no directory behind, in the working directory or in the user's cache.
func TestNothingIsMadeOfAMistake(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	cache := filepath.Join(dir, "cache")
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", filepath.Join(dir, "home"))
	for _, line := range []string{
		"pretrain -c quickstart -o runs/x --steps -1", "pretrain -c quickstart -o runs/x --set train.batch=0", "pretrain -c none -o runs/x", "pretrain -c quickstart -o runs/x --data none.txt",
		"pretrain -c quickstart -o runs/x --threads -1", "pretrain --resume -o runs/x", "pretrain -c quickstart -o runs/x --nice 20", "pretrain -c quickstart -o runs/x --set model.width=7",
		"finetune --from none --data none.txt -o runs/x", "finetune --from none --data none.txt -o runs/x --merge",
		"prune --from none --data none.txt --target 0.5x -o out/x", "prune --from none --data none.txt --target nonsense -o out/x", "prune --from none --data none.txt --target 0.5x -o out/x --checkpoint state",
		"eval -m none --data none.txt", "eval -m none --data none.txt --importance --plot out/x.svg", "eval -m none --choices none.jsonl",
		"export -m none --format gguf -o out/x.gguf", "export -m none --format nonsense -o out/x", "data prepare --data none.txt -m none -o shards", "data prepare --data none.txt --tokenizer none -o shards",
		"data prepare --data none.txt -m none -o shards --pack nonsense", "data sample -m none --count 2 -o out/x.jsonl", "data sample -m none --count 0 -o out/x.jsonl",
		"generate -m none -p x", "embed -m none --data none.txt -o out/x.npy", "embed -m none --data none.txt -o out/x.txt", "serve -m none --port -1", "chat -m none", "inspect none", "inspect none --graph out/g.svg",
		"report none", "report none -o out/x.html --png plots", "report none --sort nonsense -o out/x.html", "bench compare -c none.yaml -o out", "bench paper -c none.yaml -o out", "bench step -m none", "doctor --batch 0",
	} {
		args := append([]string{"ecospa"}, strings.Fields(line)...)
		if code, out, log := runCommand(t, t.Context(), args...); code != exitUsage && code != exitBadInput || out != "" || !strings.HasPrefix(log, "ecospa: ") || strings.Count(log, "\n") != 1 {
			t.Errorf("%s: exit code %d, %q, %q", line, code, out, log)
		}
		filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if path != dir {
				t.Errorf("%s made %s", line, path)
				os.RemoveAll(path)
				return filepath.SkipDir
			}
			return err
		})
	}
}

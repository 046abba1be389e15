package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bad is one thing that a user may get wrong: the exit code, and what the one
// line on standard error must name.
type bad struct {
	name string
	args []string
	code int
	want []string
}

func TestBadInput(t *testing.T) {
	tmp := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(tmp, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	model := filepath.Join(tmp, "model")
	mustRun(t, small(model, "train.steps=3", "prune.target=")...)
	good := write("good.txt", strings.Repeat("Anna was a small fox. ", 50))
	out := filepath.Join(tmp, "out")
	pre := func(more ...string) []string {
		return append([]string{"ecospa", "pretrain", "-c", "../configs/quickstart.yaml", "--out", out}, more...)
	}
	set := func(kv string) []string { return pre("--set", kv) }
	broken := filepath.Join(tmp, "broken")
	os.CopyFS(broken, os.DirFS(filepath.Join(model, "state", "newest")))
	weights := filepath.Join(broken, "model.safetensors")
	if st, err := os.Stat(weights); err != nil {
		t.Fatal(err)
	} else if err := os.Truncate(weights, st.Size()-8); err != nil {
		t.Fatal(err)
	}

	for _, c := range []bad{
		{"no subcommand by that name", []string{"ecospa", "train"}, 2, []string{`"train"`}},
		{"unknown flag", []string{"ecospa", "eval", "--modle", "x"}, 2, []string{"modle"}},
		{"missing flag", []string{"ecospa", "eval", "--model", model}, 2, []string{"data"}},
		{"argument", []string{"ecospa", "inspect", "--model", model, "extra"}, 2, []string{"extra"}},
		{"flag of a wrong type", []string{"ecospa", "eval", "--model", model, "--data", good, "--context", "many"}, 2, []string{"context", "many"}},
		{"no configuration", []string{"ecospa", "pretrain"}, 2, []string{"--config"}},
		{"resume of nothing", []string{"ecospa", "pretrain", "--resume", "--out", filepath.Join(tmp, "nothing")}, 3, []string{"nothing"}},
		{"contradicting flags", pre("--allow-change", "optim.lr"), 2, []string{"--allow-change", "--resume"}},
		{"missing run file", []string{"ecospa", "pretrain", "-c", filepath.Join(tmp, "no.yaml"), "--out", out}, 3, []string{"no.yaml"}},
		{"run file that is no YAML", []string{"ecospa", "pretrain", "-c", write("tab.yaml", "model:\n\t- x"), "--out", out}, 2, []string{"tab.yaml", "line 2"}},
		{"unknown key", []string{"ecospa", "pretrain", "-c", write("key.yaml", "model:\n  layrs: 3\n"), "--out", out}, 2, []string{"key.yaml", "line 2", `"layrs"`, "layers"}},
		{"unknown section", []string{"ecospa", "pretrain", "-c", write("sec.yaml", "modle: {}\n"), "--out", out}, 2, []string{`"modle"`}},
		{"repeated key", []string{"ecospa", "pretrain", "-c", write("rep.yaml", "out: a\nout: b\n"), "--out", out}, 2, []string{"out"}},
		{"wrong type", []string{"ecospa", "pretrain", "-c", write("type.yaml", "train:\n  steps: many\n"), "--out", out}, 2, []string{"train.steps", `"many"`, "whole number"}},
		{"fraction for a whole number", set("train.steps=1.5"), 2, []string{"train.steps", "1.5"}},
		{"override without value", set("train.steps"), 2, []string{"KEY.PATH=VALUE"}},
		{"override of an unknown key", set("train.stepz=3"), 2, []string{"stepz"}},
		{"size that does not divide", set("model.width=130"), 2, []string{"model.width", "130", "model.heads"}},
		{"heads that do not divide", set("model.kv_heads=3"), 2, []string{"model.heads", "model.kv_heads"}},
		{"unknown family", set("model.family=nothing"), 2, []string{"bert", "gpt2", "llama"}},
		{"unknown size", set("model.name=llama-9t"), 2, []string{"llama-9t", "llama-60m"}},
		{"micro-batch that does not divide", set("train.micro_batch=5"), 2, []string{"train.micro_batch", "5", "16"}},
		{"learning rate", set("optim.lr=-1"), 2, []string{"optim.lr", "-1"}},
		{"schedule", set("optim.schedule=steps"), 2, []string{"optim.schedule", "cosine"}},
		{"precision", set("train.precision=fp8"), 2, []string{"train.precision", "bf16"}},
		{"criterion", set("prune.criterion=luck"), 2, []string{"prune.criterion", "fisher"}},
		{"budget that cannot be met", set("prune.target=0.0001x"), 2, []string{"out of reach"}},
		{"budget that is no budget", set("prune.target=half"), 2, []string{"target", "half"}},
		{"criterion that training cannot gather", set("prune.criterion=fisher-diag"), 2, []string{"prune.criterion", "fisher-diag"}},
		{"allocation that training cannot measure", set("prune.allocation=auto"), 2, []string{"prune.allocation", "auto"}},
		{"layer that is not there", set("prune.skip_layers=[9]"), 2, []string{"prune.skip_layers", "9"}},
		{"corpus size", set("data.bytes=lots"), 2, []string{"data.bytes", "lots"}},
		{"corpus kind", set("data.synthetic=poems"), 2, []string{"data.synthetic", "poems"}},
		{"vocabulary", set("tokenizer.vocab=10"), 2, []string{"tokenizer.vocab", "10"}},
		{"missing data", pre("--data", filepath.Join(tmp, "no.txt")), 3, []string{"no.txt"}},
		{"empty data", pre("--data", write("empty.txt", "")), 3, []string{"empty.txt", "empty"}},
		{"data that is no text", pre("--data", write("bin.txt", "ab\xff\xfe")), 3, []string{"bin.txt", "UTF-8", "offset 2"}},
		{"too little data", pre("--data", write("tiny.txt", "a b c"), "--set", "tokenizer.train=bytes"), 3, []string{"tokens"}},
		{"eval of no model", []string{"ecospa", "eval", "--model", filepath.Join(tmp, "no"), "--data", good}, 3, []string{"no"}},
		{"eval of a directory without model", []string{"ecospa", "eval", "--model", t.TempDir(), "--data", good}, 3, []string{"config.json"}},
		{"eval of a damaged model", []string{"ecospa", "eval", "--model", broken, "--data", good}, 3, []string{"model.safetensors"}},
		{"eval on no text", []string{"ecospa", "eval", "--model", model, "--data", filepath.Join(tmp, "no.txt")}, 3, []string{"no.txt"}},
		{"context beyond the model's", []string{"ecospa", "eval", "--model", model, "--data", good, "--context", "4096"}, 2, []string{"4096"}},
		{"temperature", []string{"ecospa", "generate", "--model", model, "--prompt", "a", "--temperature", "-1"}, 2, []string{"temperature"}},
		{"top-p", []string{"ecospa", "generate", "--model", model, "--prompt", "a", "--top-p", "0"}, 2, []string{"top-p"}},
		{"shell", []string{"ecospa", "completion", "tcsh"}, 2, []string{"tcsh", "bash"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, log := runCommand(t, t.Context(), c.args...)
			line := lastLine(log)
			if code != c.code {
				t.Errorf("exit code %d, expected %d: %s", code, c.code, line)
			}
			if !strings.HasPrefix(line, "ecospa: ") || strings.Contains(log, "goroutine") {
				t.Errorf("not one clear line: %q", log)
			}
			for _, w := range c.want {
				if !strings.Contains(line, w) {
					t.Errorf("the message does not name %q: %s", w, line)
				}
			}
		})
	}
	if _, err := os.Stat(filepath.Join(out, "model.safetensors")); err == nil {
		t.Error("a refused run left a model behind")
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// refused runs what has to fail and looks for its exit code and the words of its message.
func refused(t *testing.T, cases []bad) {
	t.Helper()
	for _, c := range cases {
		code, _, log := runCommand(t, t.Context(), c.args...)
		line := lastLine(log)
		if code != c.code {
			t.Errorf("%s: exit code %d, expected %d: %s", c.name, code, c.code, line)
		}
		for _, w := range c.want {
			if !strings.Contains(line, w) {
				t.Errorf("%s: the message does not name %q: %s", c.name, w, line)
			}
		}
	}
}

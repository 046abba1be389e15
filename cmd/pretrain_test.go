package cmd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/train"
	"github.com/ecospa/ecospa/pkg/workload"
)

// small is the quickstart made small enough for a test.
func small(out string, more ...string) []string {
	args := []string{"ecospa", "pretrain", "-c", "../configs/quickstart.yaml", "--out", out}
	for _, s := range append([]string{
		"train.steps=40", "train.batch=4", "train.context=32", "train.eval_every=15", "train.sample=8", "train.threads=2",
		"data.bytes=60KB", "tokenizer.vocab=300", "model.layers=2", "model.width=32", "model.ffn=48",
	}, more...) {
		args = append(args, "--set", s)
	}
	return args
}

// runCommand calls the whole command line in process.
func runCommand(t *testing.T, ctx context.Context, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, log bytes.Buffer
	code = runOn(ctx, alone, args, strings.NewReader(""), &out, &log)
	return code, out.String(), log.String()
}

// mustRun is runCommand for what has to succeed.
func mustRun(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	code, out, log := runCommand(t, t.Context(), args...)
	if code != exitOK {
		t.Fatalf("%s: exit code %d\n%s", strings.Join(args, " "), code, log)
	}
	return out, log
}

func TestMainJob(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	out, log := mustRun(t, small(dir)...)
	for _, want := range []string{"before (step 12)", "parameters", "planned memory", "milliseconds a step", "tokens/s", "validation perplexity", "The model writes:", "ecospa generate"} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
	if n := strings.Count(log, "pruned"); n != 4 {
		t.Errorf("%d pruning events in the log, expected 4:\n%s", n, log)
	}
	lines := metrics(t, dir)
	if len(lines) != 40 {
		t.Fatalf("metrics.jsonl has %d lines, expected 40", len(lines))
	}
	for i, l := range lines {
		for _, key := range []string{"step", "loss", "lr", "grad_norm", "tokens_per_s", "rss", "params"} {
			if _, ok := l[key]; !ok {
				t.Fatalf("line %d of metrics.jsonl lacks %q", i+1, key)
			}
		}
	}
	for i, l := range lines {
		_, planned := l["memory"]
		_, event := l["event"]
		if event != (l["pruned"] == true) || planned != (i == 0 || event) {
			t.Errorf("line %d: pruned %v, event %v, memory %v", i+1, l["pruned"], l["event"], l["memory"])
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	sum, err := train.ReadSummary(root)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Before == nil || sum.Before.Step != 12 || sum.After.Step != 40 || sum.After.Params >= sum.Before.Params || sum.Sample == "" || sum.After.ValLoss == nil {
		t.Errorf("the summary says %+v", sum)
	}
	if plans, _ := filepath.Glob(filepath.Join(dir, "plans", "*.json")); len(plans) != 4 {
		t.Errorf("plans are %v, expected 4", plans)
	}

	var shown bundle.Facts
	out, _ = mustRun(t, "ecospa", "inspect", "--model", dir, "--json")
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatal(err)
	}
	if shown.Family != "llama" || shown.Params >= shown.DenseParams || len(shown.Layers) != 2 || float64(shown.Params) != lines[39]["params"] {
		t.Errorf("inspect shows %+v", shown)
	}
	text := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(text, []byte("Anna was a small fox who lived by the river. Her best friend was Tom the bear."), 0o644); err != nil {
		t.Fatal(err)
	}
	var v workload.TextResult
	out, _ = mustRun(t, "ecospa", "eval", "--model", dir, "--data", text, "--json")
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	if v.Loss <= 0 || v.Perplexity <= 1 || v.Tokens < 10 || v.Params != shown.Params {
		t.Errorf("eval gives %+v", v)
	}
	a, _ := mustRun(t, "ecospa", "generate", "--model", dir, "--prompt", "One day", "--tokens", "12", "--seed", "5")
	b, _ := mustRun(t, "ecospa", "generate", "--model", dir, "--prompt", "One day", "--tokens", "12", "--seed", "5")
	if a != b || !strings.HasPrefix(a, "One day") || len(a) < 10 {
		t.Errorf("generate writes %q, then %q", a, b)
	}
}

// metrics reads metrics.jsonl without the fields that depend on the clock.
func metrics(t *testing.T, dir string) []map[string]any {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []map[string]any
	for s := bufio.NewScanner(f); s.Scan(); {
		var l map[string]any
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("metrics.jsonl: %v", err)
		}
		lines = append(lines, l)
	}
	return lines
}

// TestInterruptedRunEndsTheSame stops a run at random moments, again and again,
// across its pruning events, and ends with the same bytes as one that was not.
func TestInterruptedRunEndsTheSame(t *testing.T) {
	for name, more := range map[string][]string{
		"plain":         {"train.steps=60"},
		"bfloat16":      {"train.steps=60", "train.precision=bf16", "optim.moments=bf16", "train.recompute=layer"},
		"micro-batches": {"train.steps=60", "train.micro_batch=2", "checkpoint.every=7", "model.family=gpt2", "model.kv_heads=0"},
	} {
		t.Run(name, func(t *testing.T) {
			tmp := t.TempDir()
			whole, parts := filepath.Join(tmp, "whole"), filepath.Join(tmp, "parts")
			mustRun(t, small(whole, more...)...)
			args := small(parts, more...)
			rng := rand.New(rand.NewPCG(1, uint64(len(name))))
			stops := 0
			for ; ; stops++ {
				ctx, cancel := context.WithCancel(t.Context())
				go cancelAfter(ctx, cancel, filepath.Join(parts, "metrics.jsonl"), 1+rng.IntN(15))
				code, _, log := runCommand(t, ctx, args...)
				cancel()
				if code == exitOK {
					break
				}
				if code != exitInterrupted || !strings.Contains(log, "go on with: ecospa pretrain --resume --out "+parts) {
					t.Fatalf("exit code %d:\n%s", code, log)
				}
				args = []string{"ecospa", "pretrain", "--resume", "--out", parts}
			}
			if stops < 2 {
				t.Errorf("the run was stopped %d times only", stops)
			}
			a, _ := os.ReadFile(filepath.Join(whole, "model.safetensors"))
			b, _ := os.ReadFile(filepath.Join(parts, "model.safetensors"))
			if len(a) == 0 || !bytes.Equal(a, b) {
				t.Error("model.safetensors differs from that of the uninterrupted run")
			}
			la, lb := metrics(t, whole), metrics(t, parts)
			if len(la) != len(lb) {
				t.Fatalf("%d lines of metrics, expected %d", len(lb), len(la))
			}
			for i := range la {
				for _, key := range []string{"step", "loss", "lr", "grad_norm", "params", "tokens", "val_loss", "pruned"} {
					if la[i][key] != lb[i][key] {
						t.Fatalf("line %d: %s is %v, expected %v", i+1, key, lb[i][key], la[i][key])
					}
				}
			}
		})
	}
}

// cancelAfter cancels when so many further lines have been written to the file.
func cancelAfter(ctx context.Context, cancel func(), path string, lines int) {
	count := func() int { b, _ := os.ReadFile(path); return bytes.Count(b, []byte{'\n'}) }
	for first := count(); ctx.Err() == nil && count() < first+lines; {
		time.Sleep(time.Millisecond)
	}
	cancel()
}

func TestDamagedCheckpointIsSkipped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	mustRun(t, small(dir, "checkpoint.every=10", "checkpoint.keep_last=3")...)
	newest := filepath.Join(dir, "state", "step-000040", "moment1.f32")
	b, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(newest, b, 0o644); err != nil {
		t.Fatal(err)
	}
	_, log := mustRun(t, "ecospa", "pretrain", "--resume", "--out", dir)
	if !strings.Contains(log, "step-000040 is damaged and is skipped") || !strings.Contains(log, "going on from the checkpoint of step 30") {
		t.Errorf("log:\n%s", log)
	}
}

func TestResumeRefusesAChangedConfiguration(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	mustRun(t, small(dir)...)
	args := append(small(dir, "optim.lr=1e-4"), "--resume")
	code, _, log := runCommand(t, t.Context(), args...)
	if code != exitUsage || !strings.Contains(log, `optim.lr from "0.003" to "0.0001"; accept it with --allow-change optim.lr`) {
		t.Errorf("exit code %d: %s", code, log)
	}
	if code, _, log := runCommand(t, t.Context(), append(args, "--allow-change", "optim.lr")...); code != exitOK {
		t.Errorf("exit code %d: %s", code, log)
	}
	if code, _, log := runCommand(t, t.Context(), small(dir)...); code != exitUsage || !strings.Contains(log, "holds a run already") {
		t.Errorf("exit code %d: %s", code, log)
	}
}

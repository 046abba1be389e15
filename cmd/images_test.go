package cmd

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/workload"
)

// bars writes n images of 6 x 6 with noise and a bar, whose direction is the class:
// a set that a small model learns at once.
func bars(t *testing.T, n int, seed uint64) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 6))
	var b strings.Builder
	for i := range n {
		class, at := i%3, 1+rng.IntN(4)
		for y := range 6 {
			for x := range 6 {
				v := 2 * rng.Float64()
				if class == 0 && y == at || class == 1 && x == at || class == 2 && x == y {
					v += 8
				}
				fmt.Fprintf(&b, "%.2f,", v)
			}
		}
		b.WriteString([]string{"lying", "standing", "slanted"}[class] + "\n")
	}
	path := filepath.Join(t.TempDir(), "bars.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func visionRun(data, out string, more ...string) []string {
	args := []string{"ecospa", "pretrain", "-c", "../configs/vision-optdigits.yaml", "--data", data, "--out", out}
	for _, s := range append([]string{
		"model.layers=2", "model.width=24", "model.heads=2", "model.ffn=32", "model.image_size=6", "model.patch_size=2", "data.shift=0",
		"train.steps=60", "train.batch=24", "train.eval_every=30", "train.threads=2", "optim.lr=4e-3",
	}, more...) {
		args = append(args, "--set", s)
	}
	return args
}

// TestImages: a model of images learns, is pruned on the way and afterwards, and is
// judged by what is on them.
func TestImages(t *testing.T) {
	dir, data := filepath.Join(t.TempDir(), "run"), bars(t, 240, 1)
	out, log := mustRun(t, visionRun(data, dir)...)
	for _, want := range []string{"validation top-1, %", "images/s", "before is before the first pruning"} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
	if !strings.Contains(log, "an image is 10 tokens") || strings.Count(log, "pruned") != 5 {
		t.Errorf("log:\n%s", log)
	}
	var e workload.ImageResult
	judge := func(model string) {
		t.Helper()
		out, _ := mustRun(t, "ecospa", "eval", "--model", model, "--data", bars(t, 90, 2), "--json")
		if err := json.Unmarshal([]byte(out), &e); err != nil {
			t.Fatal(err)
		}
	}
	if judge(dir); e.Images != 90 || !(e.Top1 > 0.9) || e.Top5 != 1 || !(e.Loss < 0.8) {
		t.Errorf("%+v", e)
	}
	before := e.Params
	pruned := filepath.Join(t.TempDir(), "pruned")
	out, _ = mustRun(t, "ecospa", "prune", "--from", dir, "--data", data, "--target", "0.8x", "--out", pruned, "--json")
	var p prune.Report
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	if p.Before.Top1 == nil || p.After.Top1 == nil || p.After.Params >= p.Before.Params || p.After.ImagesPerS <= 0 || p.Context != 10 {
		t.Errorf("%+v", p)
	}
	if judge(pruned); e.Params >= before || !(e.Top1 > 0.8) {
		t.Errorf("of the pruned model: %+v", e)
	}
	if out, _ := mustRun(t, "ecospa", "inspect", "--model", pruned); !strings.Contains(out, "vit") {
		t.Error(out)
	}
	mustRun(t, "ecospa", "eval", "--model", pruned, "--data", data, "--importance", "--sequences", "12")

	// Further training, of all weights from a teacher and of adapters alone.
	for name, set := range map[string][]string{
		"whole": {"--set", "teacher.model=" + dir},
		"lora":  {"--set", "lora.rank=2", "--merge"},
	} {
		tuned := filepath.Join(t.TempDir(), name)
		out, _ := mustRun(t, append([]string{
			"ecospa", "finetune", "--from", pruned, "--data", data, "--out", tuned, "--set", "train.steps=30",
			"--set", "train.batch=24", "--set", "optim.lr=2e-3", "--set", "data.shift=1",
		}, set...)...)
		if !strings.Contains(out, "validation top-1, %") {
			t.Errorf("%s:\n%s", name, out)
		}
		was := e.Loss
		if name == "lora" {
			tuned = filepath.Join(tuned, "merged")
		}
		if judge(tuned); !(e.Top1 > 0.9) {
			t.Errorf("%s: %+v, before a loss of %g", name, e, was)
		}
	}

	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"generate", "--model", dir, "--prompt", "x"}, exitUsage, "the model classifies images"},
		{[]string{"eval", "--model", dir, "--data", data, "--context", "5"}, exitUsage, "applies to text"},
		{[]string{"eval", "--model", dir, "--data", "eval.go"}, exitBadInput, "pixels and a class"},
		{visionRun(data, t.TempDir(), "data.field=body")[1:], exitUsage, "apply only to text"},
		{visionRun(data, t.TempDir(), "model.patch_size=4")[1:], exitUsage, "divisible by patch_size"},
		{visionRun(data, t.TempDir(), "model.vocab=4")[1:], exitUsage, "do not apply to vit"},
		{visionRun(data, t.TempDir(), "model.num_labels=2")[1:], exitUsage, "the images have 3 classes"},
		{visionRun(data, t.TempDir(), "train.context=4")[1:], exitUsage, "an image is 10"},
		{small(t.TempDir(), "data.flip=true")[1:], exitUsage, "apply only to images"},
	} {
		code, _, log := runCommand(t, t.Context(), append([]string{"ecospa"}, c.args...)...)
		if code != c.code || !strings.Contains(log, c.want) {
			t.Errorf("%v: exit code %d, expected %d with %q:\n%s", c.args, code, c.code, c.want, log)
		}
	}
}

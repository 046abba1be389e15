package run

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/config"
)

// TestFrozenWeights: adapters beside weights of 16 and 8 bits learn what adapters beside
// float32 learn; their checkpoints hold no weights; they resume to the same bits and open as
// a model.
func TestFrozenWeights(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	if _, err := trained(t, tiny(t, base, "model.width=32", "prune.target="), Options{}); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "further.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("one fox and two bears. ", 200)), 0o644); err != nil {
		t.Fatal(err)
	}
	file := func(dtype, dir string) config.Run {
		c, err := config.Parse(nil, []string{
			"from=" + base, "data.path=" + text, "out=" + dir, "train.steps=16", "train.batch=4", "train.context=16", "train.sample=0", "train.threads=1",
			"lora.rank=4", "optim.lr=5e-2", "train.recompute=layer", "train.weights=" + dtype,
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	loss := func(dir string) float64 {
		all := metrics(t, dir)
		return all[len(all)-1]["loss"].(float64)
	}
	var want float64
	for _, dtype := range []string{"f32", "bf16", "q8_0"} {
		dir := filepath.Join(t.TempDir(), "run")
		c := file(dtype, dir)
		j, err := Start(t.Context(), c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := j.Train(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		kept := string(j.bundle.Set.Block("layer.0.down").DType())
		j.Close()
		if kept != dtype || r.Adapter == "" {
			t.Errorf("%s: the weights are %s, the adapters in %q", dtype, kept, r.Adapter)
		}
		if dtype == "f32" {
			want = loss(dir)
			continue
		}
		first := metrics(t, dir)[0]["loss"].(float64)
		if got := loss(dir); math.Abs(got-want) > 0.02*want || got > first-0.05 {
			t.Errorf("%s: a loss of %g, beside float32 %g; at first %g", dtype, got, want, first)
		}
		st, err := os.Stat(filepath.Join(dir, "model.safetensors"))
		whole, err2 := os.Stat(filepath.Join(base, "model.safetensors"))
		if err != nil || err2 != nil || st.Size() > whole.Size()/2 {
			t.Errorf("%s: a checkpoint of %d bytes, the base has %d (%v, %v)", dtype, st.Size(), whole.Size(), err, err2)
		}
		again := filepath.Join(t.TempDir(), "run")
		stopAt(t, file(dtype, again), 7)
		if log, err := resumed(t, again, Options{}); err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		x, y := opened(t, dir), opened(t, again)
		if !slices.Equal(x, y) {
			t.Errorf("%s: the resumed run has other weights", dtype)
		}
		if slices.Equal(x, opened(t, base)) {
			t.Errorf("%s: the run opens without its adapters", dtype)
		}
	}
	c := file("q8_0", filepath.Join(t.TempDir(), "merged"))
	if _, err := Start(t.Context(), c, Options{Merge: true}); fault.Of(err) != fault.Config || !strings.Contains(err.Error(), "train.weights is q8_0") {
		t.Errorf("merging into 8 bits: %v", err)
	}
}

// opened is the weights of a model directory, adapters folded in.
func opened(t *testing.T, dir string) []float32 {
	t.Helper()
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	return slices.Clone(b.Set.Weights.Data)
}

package workload

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/recovery"
)

// wide is a model whose weights take more than the activations of a batch.
func wide(t *testing.T) *bundle.Bundle {
	return drawn(t, model.Sizes{Family: "llama", Layers: 2, Width: 64, Heads: 2, KVHeads: 1, FFN: 512, Vocab: 256, Context: 32})
}

// TestRecoveryFitsTheMemory: a recovery trains by adamw where there is room, by apollo on one copy
// of the weights where there is less or where that is asked for, and is refused where there
// is none, or by itself left out; the plan and the report say it.
func TestRecoveryFitsTheMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "model")
	if err := wide(t).Save(dir, bundle.SaveOptions{DType: "BF16"}); err != nil {
		t.Fatal(err)
	}
	text := words(t, 4000)
	old := available
	defer func() { available = old }()
	free := int64(math.MaxInt64)
	available = func() (int64, string, bool) { return free, "a test", true }
	var log strings.Builder
	pruning := func(budget string, weights param.DType) Pruning {
		log.Reset()
		p := DefaultPruning()
		p.From, p.Data, p.Out, p.Recover, p.Open.Weights = dir, text, filepath.Join(t.TempDir(), "out"), budget, weights
		p.Config.Target, p.Config.Of, p.Sequences, p.Threads = "0.6x", "prunable", 4, 1
		p.Log = func(line string) { log.WriteString(line + "\n") }
		return p
	}
	decided := func(weights param.DType) recovery.Chosen {
		p := pruning("2k", weights)
		p.setDefaults()
		if err := p.decideTraining(); err != nil {
			t.Fatal(err)
		}
		return p.training
	}
	adamW, apollo := decided(""), decided(param.BF16)
	if adamW.Optimizer != recovery.AdamW || apollo.Optimizer != recovery.Apollo {
		t.Fatalf("%+v and %+v, expected adamw and apollo", adamW, apollo)
	}
	free = apollo.Plan.Total() * 9 / 8
	for _, weights := range []param.DType{"", param.BF16} {
		r, err := pruning("2k", weights).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if v := r.Recovery; v == nil || v.Optimizer != recovery.Apollo || v.AdamW != adamW.Plan.Total() || !strings.Contains(r.String(), "by apollo on one copy of the weights") {
			t.Errorf("weights %q: %+v, expected a recovery by apollo, and that it is said", weights, r.Recovery)
		}
		for _, want := range []string{"by apollo on one copy of the weights: adamw would take", ", recovery aside", "  recovery "} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("weights %q: %q is not said: %s", weights, want, log.String())
			}
		}
	}
	if _, err := pruning("2k", param.F32).Run(context.Background()); err == nil || !strings.Contains(err.Error(), "a test has") || !strings.Contains(err.Error(), "--weights bf16 takes") {
		t.Errorf("adamw where it does not fit: %v", err)
	}
	free = 1000
	if _, err := pruning("2k", "").Run(context.Background()); err == nil || !strings.Contains(err.Error(), "--recover none") {
		t.Errorf("a recovery where nothing fits: %v", err)
	}
	p := pruning(RecoverAuto, "")
	p.setDefaults()
	if err := p.decideTraining(); err != nil || p.Recover != RecoverNone || !strings.Contains(log.String(), "not recovered: recovering this model by apollo takes") {
		t.Errorf("auto where nothing fits: %q, %v: %s", p.Recover, err, log.String())
	}
}

// TestRecoveryPlansTheSmallerVocabulary: the memory of a recovery is that of the vocabulary that is
// left, as of a model that has no other.
func TestRecoveryPlansTheSmallerVocabulary(t *testing.T) {
	plan := func(rows, keep int) int64 {
		dir := filepath.Join(t.TempDir(), "model")
		b := drawn(t, model.Sizes{Family: "llama", Layers: 1, Width: 32, Heads: 2, KVHeads: 1, FFN: 64, Vocab: rows, Context: 32})
		if err := b.Save(dir, bundle.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		p := DefaultPruning()
		p.From, p.Recover, p.Vocabulary.Size = dir, "2k", keep
		p.setDefaults()
		if err := p.decideTraining(); err != nil {
			t.Fatal(err)
		}
		return p.training.Plan.Total()
	}
	if cut, small, whole := plan(1024, 300), plan(300, 0), plan(1024, 0); cut != small || cut >= whole {
		t.Errorf("%d bytes with 300 ids of 1024, %d of a model with 300, %d with all", cut, small, whole)
	}
}

// TestResumeAsItBegan: a recovery by apollo that was interrupted goes on by apollo, though there is
// room for adamw now.
func TestResumeAsItBegan(t *testing.T) {
	dir, out := filepath.Join(t.TempDir(), "model"), filepath.Join(t.TempDir(), "out")
	if err := wide(t).Save(dir, bundle.SaveOptions{DType: "BF16"}); err != nil {
		t.Fatal(err)
	}
	text := words(t, 4000)
	pruning := func(log func(string)) Pruning {
		p := DefaultPruning()
		p.From, p.Data, p.Out, p.Recover, p.Log = dir, text, out, "4k", log
		p.Config.Target, p.Config.Of, p.Sequences, p.Threads = "0.6x", "prunable", 4, 1
		return p
	}
	ctx, stop := context.WithCancel(context.Background())
	p := pruning(func(line string) {
		if strings.Contains(line, "recovering: ") {
			stop()
		}
	})
	p.Open.Weights = param.BF16
	if _, err := p.Run(ctx); !errors.Is(err, ErrRecoveryKept) {
		t.Fatalf("interrupted: %v", err)
	}
	p = pruning(nil)
	p.Resume = true
	r, err := p.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if r.Recovery.Optimizer != recovery.Apollo || r.Recovery.Tokens < 3500 {
		t.Errorf("gone on with: %+v, expected apollo to the end", r.Recovery)
	}
}

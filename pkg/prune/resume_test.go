package prune

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/param"
)

// resumable is a job of the full recipe that keeps a checkpoint.
func resumable(t *testing.T, dir string) *Job {
	p := &Job{Calibration: storable(t, "llama", param.BF16, true), Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove(), Checkpoint: dir}
	p.Config.Target, p.Config.Of, p.Config.Allocation = "0.6x", "prunable", "auto"
	return p
}

// weightsOf is all weights of a set as float32.
func weightsOf(set *param.Set) (all []float32) {
	for _, q := range set.Params {
		all = append(all, q.Floats(make([]float32, q.Size()), 0, q.Size())...)
	}
	return all
}

// TestResume: a calibration that is interrupted anywhere and goes on gives what one that is
// not gives, to the bit.
func TestResume(t *testing.T) {
	want := resumable(t, "")
	want.Scratch = t.TempDir()
	if _, err := want.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(want.Scratch, "*")); len(left) > 0 {
		t.Errorf("moments are left behind: %v", left)
	}
	expected := weightsOf(want.Set)
	stops := 0
	for _, at := range []PhaseName{PhaseBasis, PhaseEvidence, PhaseTrials, PhaseCompare} {
		dir := t.TempDir()
		for after := range 3 { // batches into the phase
			ctx, cancel := context.WithCancel(t.Context())
			p, seen := resumable(t, dir), 0
			p.Working = func(e Working) {
				if e.Phase == at {
					if seen++; seen > after {
						cancel()
					}
				}
			}
			_, err := p.Run(ctx)
			cancel()
			if errors.Is(err, context.Canceled) {
				stops++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		p := resumable(t, dir)
		resumed := false
		p.Notify = func(e Event) {
			_, r := e.(Continued)
			resumed = resumed || r
		}
		if _, err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := weightsOf(p.Set); !slices.Equal(got, expected) {
			t.Errorf("interrupted in %s: other weights come out", at)
		}
		if at != PhaseBasis && !resumed {
			t.Errorf("interrupted in %s: the evidence was gathered anew", at)
		}
	}
	if stops < 8 {
		t.Errorf("%d interruptions, expected 8 at least", stops)
	}
}

// TestLossesBelongToTheirData: losses measured on other trial data are not taken up.
func TestLossesBelongToTheirData(t *testing.T) {
	p := resumable(t, t.TempDir())
	whole, known := p.Data.slice(0, 1), &Trials{}
	if err := p.resumeLosses(known, whole, false); err != nil {
		t.Fatal(err)
	}
	known.Known["a cut"] = 1.5
	if err := known.saved(); err != nil {
		t.Fatal(err)
	}
	head, ok := whole.Head(whole.Context, whole.Context/2)
	if !ok {
		t.Fatal("the sequence has no head")
	}
	for _, c := range []struct {
		data Sequences
		held bool
		want int
	}{{whole, false, 1}, {whole, true, 0}, {Sequences{whole.Context / 2, head}, false, 0}, {p.Data.slice(0, 2), false, 0}} {
		again := &Trials{}
		if err := p.resumeLosses(again, c.data, c.held); err != nil || len(again.Known) != c.want {
			t.Errorf("%d sequences of %d tokens, held %t: %d losses (%v), expected %d", c.data.Len(), c.data.Context, c.held, len(again.Known), err, c.want)
		}
	}
}

// TestResumeRefuses a checkpoint of another calibration, and one that is damaged.
func TestResumeRefuses(t *testing.T) {
	dir := t.TempDir()
	p := resumable(t, dir)
	p.DryRun = true
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := resumable(t, dir)
	other.Config.Target = "0.7x"
	if _, err := other.Run(t.Context()); fault.Of(err) != fault.Input {
		t.Errorf("another target: %v", err)
	}
	found, _ := filepath.Glob(filepath.Join(dir, "evidence-*"))
	if len(found) != 1 {
		t.Fatalf("evidence files: %v", found)
	}
	if err := os.WriteFile(found[0], []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := resumable(t, dir).Run(t.Context()); fault.Of(err) != fault.Input {
		t.Errorf("damaged evidence: %v", err)
	}
}

package run

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/tokenizer"
	"github.com/ecospa/ecospa/pkg/train"
)

// mixture is a run on a prepared corpus and a file of lines, three to one.
func mixture(t *testing.T, out string) config.Run {
	t.Helper()
	dir := filepath.Dir(out)
	var a, b bytes.Buffer
	for i := range 120 {
		fmt.Fprintf(&a, "{\"text\": \"%s\"}\n", strings.Repeat("ab ", 1+i%17))
		fmt.Fprintf(&b, "{\"text\": \"%s\"}\n", strings.Repeat("xyz ", 1+i%11))
	}
	for name, text := range map[string][]byte{"a.jsonl": a.Bytes(), "b.jsonl": b.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := data.PrepareOptions{Path: filepath.Join(dir, "a.jsonl"), Out: filepath.Join(dir, "a"), Tokenizer: tokenizer.Bytes{}, Shard: 1000}
	if _, err := data.Prepare(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	c := tiny(t, out, "data.synthetic=", "train.eval_every=3", "prune.target=", "checkpoint.every=4")
	c.Data.Mix = []data.MixPart{{Path: o.Out, Weight: 3}, {Path: filepath.Join(dir, "b.jsonl"), Weight: 1}}
	return c
}

// TestMixtureGoesOn: a run on a mixture that was interrupted ends with the bits of one that
// was not; the losses of its parts are in the metrics, the events and the summary.
func TestMixtureGoesOn(t *testing.T) {
	whole, cut := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
	log, err := trained(t, mixture(t, whole), Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := mixture(t, cut)
	ctx, stop := context.WithCancel(context.Background())
	j, err := Start(ctx, c, Options{Before: train.Hook{Name: "stop", Step: func(l *train.Loop) error {
		if l.Step == 5 {
			stop()
		}
		return nil
	}}})
	if err == nil {
		_, err = j.Train(ctx)
	}
	if j.Close(); err == nil || !strings.Contains(err.Error(), "interrupted") && !strings.Contains(fmt.Sprintf("%T", err), "Interrupted") {
		t.Fatal(err)
	}
	if _, err := trained(t, c, Options{Mode: Continue}); err != nil {
		t.Fatal(err)
	}
	a, err := os.ReadFile(filepath.Join(whole, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(cut, "model.safetensors")); err != nil || !bytes.Equal(a, b) {
		t.Errorf("the interrupted run ends with other weights (%v)", err)
	}
	name := filepath.Join(filepath.Dir(whole), "b.jsonl")
	e := told[Evaluated](log)
	if last := e[len(e)-1]; len(last.Point.Parts) != 2 || !strings.Contains(last.String(), name+" ") {
		t.Errorf("the evaluation says %s", last)
	}
	text, err := os.ReadFile(filepath.Join(whole, "metrics.jsonl"))
	if err != nil || !bytes.Contains(text, []byte(`"val_parts":{`)) {
		t.Errorf("no val_parts in the metrics (%v)", err)
	}
	var sum train.Summary
	text, err = os.ReadFile(filepath.Join(whole, train.SummaryFile))
	if err == nil {
		err = json.Unmarshal(text, &sum)
	}
	if err != nil || sum.After.ValParts[name] <= 0 {
		t.Errorf("the summary has %v (%v)", sum.After.ValParts, err)
	}
}

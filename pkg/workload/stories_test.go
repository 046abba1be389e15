package workload

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/prune"
)

// TestStories260K: the loss of a model that others trained on documents, each by itself,
// is that of scripts/stories.py, an independent forward pass in numpy's float64.
// ECOSPA_STORIES=FILE writes the token ids that the script reads.
func TestStories260K(t *testing.T) {
	const dir, text, want = "../../../shared/data/models/stories260K", "../../../shared/data/text/stories100.jsonl", 1.4342568234
	if _, err := os.Stat(text); err != nil {
		t.Skip("SKIPPED: stories260K is not here (its files are not part of this repository)")
	}
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if out := os.Getenv("ECOSPA_STORIES"); out != "" {
		writeIDs(t, b, text, out)
	}
	w, err := Open(b, Source{Path: text})
	if err != nil {
		t.Fatal(err)
	}
	on := prune.NewSubject(b.Model, b.Set, 2, nil)
	defer on.Close()
	v, err := w.Evaluate(on, EvalOptions{Context: b.Model.Context()})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(v.Loss-want) > 1e-5 || v.Documents != 100 {
		t.Errorf("loss %.7f on %d documents, expected %.7f on 100", v.Loss, v.Documents, want)
	}
}

func writeIDs(t *testing.T, b *bundle.Bundle, text, out string) {
	t.Helper()
	p, err := data.Read(text, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var ids [][]int32
	for _, d := range p.Documents {
		front, _ := b.Tokenizer.Template()
		ids = append(ids, b.Tokenizer.Encode(append([]int32{}, front...), d))
	}
	body, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out, body, 0o644); err != nil {
		t.Fatal(err)
	}
}

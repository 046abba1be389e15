package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/chat"
	"github.com/ecospa/ecospa/pkg/workload"
)

// TestFinetuneChats holds docs/chats.md: a model learns the assistant's turns of a file of
// chats and nothing else, shows what it learns, and keeps the template.
func TestFinetuneChats(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	tmp := t.TempDir()
	at := func(name string) string { return filepath.Join(tmp, name) }
	mustRun(t, small(at("base"), "model.context=192")...)
	chats := at("chats.jsonl")
	var text strings.Builder
	for i := range 20 {
		fmt.Fprintf(&text, `{"messages":[{"role":"user","content":"Who had nut %d?"},{"role":"assistant","content":"The crow."},{"role":"user","content":"And now?"},{"role":"assistant","content":"The dog."}]}`+"\n", i)
	}
	text.WriteString(`{"messages":[{"role":"user","content":"nobody answers"}]}` + "\n")
	if err := os.WriteFile(chats, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}

	shown, log := mustRun(t, "ecospa", "finetune", "--from", at("base"), "--data", chats, "--show", "2")
	learned, each := "", 0
	for _, line := range strings.Split(shown, "\n") {
		if id, piece, ok := strings.Cut(line, "  + "); ok && strings.TrimSpace(id) != "" {
			var s string
			if err := json.Unmarshal([]byte(piece), &s); err != nil {
				t.Fatal(err)
			}
			learned += s
			each++
		}
	}
	if want := strings.Repeat("The crow.<|im_end|>The dog.<|im_end|>", 2); learned != want || strings.Contains(shown, "\x1b") {
		t.Errorf("--show has %q learned, expected %q", learned, want)
	}
	if !strings.Contains(log, "trained with chatml") || !strings.Contains(log, "1 records skipped") {
		t.Errorf("no word of the template or of what was skipped: %q", log)
	}
	if _, err := os.Stat(at("tuned")); err == nil {
		t.Error("--show made a run")
	}

	args := tune(at("base"), chats, at("tuned"), "train.context=192", "data.validation=0")
	_, log = mustRun(t, args...)
	if !strings.Contains(log, "20 conversations in ") || !strings.Contains(log, fmt.Sprintf(": %d tokens learned", 10*each)) {
		t.Errorf("%q says nothing of %d tokens learned", log, 10*each)
	}
	b, err := bundle.Open(at("tuned"), bundle.Options{ShapesOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if !strings.Contains(log, "the tokenizer has no token for what ends a turn") {
		t.Errorf("nothing is said of turns that end in no token: %q", log)
	}
	if source, err := chat.Named("chatml"); err != nil || b.ChatTemplate != source {
		t.Errorf("the run has the template %q (%v)", b.ChatTemplate, err)
	}

	// The same turns are measured, and have been learned.
	measure := func(model string) (r workload.TextResult) {
		out, _ := mustRun(t, "ecospa", "eval", "--model", model, "--data", chats, "--context", "192", "--json")
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	before, after := measure(at("base")), measure(at("tuned"))
	if before.Tokens != 10*each || after.Tokens != 10*each || after.Documents != 20 || after.Bytes != nil {
		t.Errorf("%d and %d tokens of %d documents are measured, expected %d", before.Tokens, after.Tokens, after.Documents, 10*each)
	}
	if !(after.Loss < before.Loss-0.5) {
		t.Errorf("loss %g, before %g", after.Loss, before.Loss)
	}

	for want, args := range map[string][]string{
		"data.format":                      tune(at("base"), chats, at("no"), "data.format=poems"),
		`no "conversations"`:               tune(at("base"), chats, at("no"), "data.format=sharegpt"),
		"cannot be combined with --resume": {"ecospa", "finetune", "--out", at("tuned"), "--resume", "--show", "1"},
		"ecospa finetune":                  {"ecospa", "pretrain", "--config", filepath.Join(at("base"), "run.yaml"), "--data", chats, "--out", at("no")},
	} {
		if code, _, log := runCommand(t, context.Background(), args...); code != 2 && code != 3 || !strings.Contains(log, want) {
			t.Errorf("%q: code %d, %q", args, code, log)
		}
	}
}

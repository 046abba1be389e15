package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ecospa/ecospa/pkg/chat"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/serve"
)

// A model without a template says how to give it one; with one it answers each line,
// and what was said is written as a record that is read as a conversation.
func TestChat(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	mustRun(t, small(dir, "train.steps=2", "train.sample=0", "prune.target=")...)
	code, _, log := runCommand(t, t.Context(), "ecospa", "chat", "--model", dir)
	if code != exitUsage || !strings.Contains(log, "--chat-template chatml") || strings.Count(log, "\n") != 1 {
		t.Errorf("without a template: exit code %d, %q", code, log)
	}
	saved := filepath.Join(t.TempDir(), "chat.jsonl")
	o := serve.TalkOptions{Model: dir, Template: "plain", System: "S.", Tokens: 5, Sampler: infer.SamplerConfig{TopP: 1}}
	talk := func(lines ...string) (string, string) {
		var out, log bytes.Buffer
		if err := serve.Talk(t.Context(), o, strings.NewReader(strings.Join(lines, "\n")), &out, &log); err != nil {
			t.Fatal(err)
		}
		return out.String(), log.String()
	}
	out, remarks := talk("one", "", "/nonsense", "/save", "two", "/save "+saved, "/exit", "three")
	if strings.Count(out, "\n") < 2 || len(out) > 100 || !strings.Contains(remarks, "unknown command /nonsense") || !strings.Contains(remarks, "needs a FILE") {
		t.Errorf("answered %q, remarks %q", out, remarks)
	}
	record, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	c, err := chat.Parse(record, "")
	if err != nil || len(c.Messages) != 5 || c.Messages[0].Content != "S." || c.Messages[3].Content != "two" || c.Messages[1].Role != "user" {
		t.Errorf("saved %s (%v)", record, err)
	}
	if want := c.Messages[2].Content + "\n" + c.Messages[4].Content + "\n"; out != want {
		t.Errorf("wrote %q, saved %q", out, want)
	}
	again, _ := talk("one", "/reset", "one")
	first, second, _ := strings.Cut(strings.TrimSuffix(again, "\n"), "\n")
	if first != second {
		t.Errorf("after /reset the same message gets %q, before %q", second, first)
	}
}

// interrupting sends the program an interrupt at its first piece of a reply, as Ctrl-C does.
type interrupting struct {
	text []byte
	sent bool
}

func (w *interrupting) Write(p []byte) (int, error) {
	if !w.sent && len(p) > 0 {
		w.sent = true
		syscall.Kill(os.Getpid(), syscall.SIGINT)
		time.Sleep(200 * time.Millisecond) // until it has arrived
	}
	w.text = append(w.text, p...)
	return len(p), nil
}

// Ctrl-C ends a reply and not the chat: the next line is answered.
func TestChatInterrupted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	mustRun(t, small(dir, "train.steps=2", "train.sample=0", "prune.target=")...)
	o := serve.TalkOptions{Model: dir, Template: "plain", Tokens: 9, Sampler: infer.SamplerConfig{TopP: 1}}
	var whole, cut bytes.Buffer
	if err := serve.Talk(t.Context(), o, strings.NewReader("one\n/reset\none\n"), &whole, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	out := &interrupting{}
	if err := serve.Talk(t.Context(), o, strings.NewReader("one\n/reset\none\n"), out, &cut); err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(strings.TrimSuffix(whole.String(), "\n"), "\n")
	gotFirst, gotSecond, _ := strings.Cut(strings.TrimSuffix(string(out.text), "\n"), "\n")
	if len(gotFirst) == 0 || len(gotFirst) >= len(first) || !strings.HasPrefix(first, gotFirst) || gotSecond != second {
		t.Errorf("interrupted at its beginning: %q, then %q; expected less than %q, then %q", gotFirst, gotSecond, first, second)
	}
}

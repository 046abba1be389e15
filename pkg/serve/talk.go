package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/chat"
	"github.com/ecospa/ecospa/pkg/infer"
)

// TalkOptions say with which model to talk, and how it answers.
type TalkOptions struct {
	Model    string
	Template string // chat.Named instead of the model's own
	System   string
	Tokens   int // new tokens of a reply
	Threads  int
	Sampler  infer.SamplerConfig
}

// talk is a chat that goes on.
type talk struct {
	o       TalkOptions
	model   *Model
	said    chat.Conversation
	replies uint64
	signals chan os.Signal
	over    atomic.Bool // SIGTERM came
	out     io.Writer
	log     io.Writer
}

// Talk answers the lines of in until it ends; replies go to out, remarks to log.
func Talk(ctx context.Context, o TalkOptions, in io.Reader, out, log io.Writer) error {
	if o.Tokens < 1 {
		return fault.Usage(fmt.Errorf("--tokens is %d, expected at least 1", o.Tokens))
	}
	if err := o.Sampler.Validate(); err != nil {
		return fault.Usage(err)
	}
	b, err := bundle.Open(o.Model, bundle.Options{Weights: bundle.AsStored})
	if err != nil {
		return err
	}
	how := LoadOptions{Threads: o.Threads, Template: o.Template}
	how.MaxBatch, how.Int8 = 1, hasQ8(b)
	m, closeModel, err := startModel(b, o.Model, how)
	if err != nil {
		return err
	}
	defer closeModel()
	t := &talk{o: o, model: m, out: out, log: log}
	switch {
	case m.Scheduler == nil:
		return fault.Usage(fmt.Errorf("%s is an encoder and cannot continue text", o.Model))
	case m.Chat == nil:
		return fault.Usage(fmt.Errorf("%s has no chat template; name one with --chat-template chatml", o.Model))
	}
	t.reset()
	t.signals = make(chan os.Signal, 1)
	signal.Notify(t.signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(t.signals)
	lines, failed := readLines(ctx, in)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return <-failed
			}
			if done, err := t.line(ctx, line); err != nil || done {
				return err
			}
		case <-t.signals:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// readLines reads lines until in or ctx ends; then failed has what went wrong.
func readLines(ctx context.Context, in io.Reader) (lines chan string, failed chan error) {
	lines, failed = make(chan string), make(chan error, 1)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(in)
		s.Buffer(nil, 16<<20)
		for s.Scan() {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				failed <- ctx.Err()
				return
			}
		}
		failed <- s.Err()
	}()
	return lines, failed
}

func (t *talk) reset() {
	t.said = chat.Conversation{}
	if t.o.System != "" {
		t.said.Messages = []chat.Message{{Role: "system", Content: t.o.System}}
	}
}

// line takes a line of input; done says that it ends the chat.
func (t *talk) line(ctx context.Context, line string) (done bool, err error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch {
	case word == "":
		return false, nil
	case word == "/exit":
		return true, nil
	case word == "/reset":
		t.reset()
		return false, nil
	case word == "/save":
		err := t.save(strings.TrimSpace(rest))
		if err != nil {
			fmt.Fprintln(t.log, err)
		}
		return false, nil
	case strings.HasPrefix(word, "/"):
		fmt.Fprintf(t.log, "unknown command %.40s, expected /reset, /save FILE or /exit\n", word)
		return false, nil
	}
	t.said.Messages = append(t.said.Messages, chat.Message{Role: "user", Content: line})
	text, err := t.reply(ctx)
	if err != nil {
		return false, err
	}
	t.said.Messages = append(t.said.Messages, chat.Message{Role: "assistant", Content: text})
	_, err = fmt.Fprintln(t.out)
	return t.over.Load(), err
}

// reply draws an answer. An interrupt ends it where it is; only ctx ends the chat. What was
// said before is not read again: the scheduler still has it.
func (t *talk) reply(ctx context.Context) (string, error) {
	text, err := t.model.Chat.Render(t.said, true)
	if err != nil {
		return "", fault.Usage(err)
	}
	ids := t.model.Tokenizer.Encode(nil, []byte(text))
	room := t.model.context() - len(ids)
	if room < 1 {
		return "", fault.Usage(fmt.Errorf("the chat has %d tokens, the model's context is %d; /reset starts a new one", len(ids), t.model.context()))
	}
	drawing, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case s := <-t.signals:
			t.over.Store(s == syscall.SIGTERM)
			stop()
		case <-drawing.Done():
		}
	}()
	draw := t.o.Sampler
	draw.Seed += t.replies
	t.replies++
	c := completion{writer: writer{m: t.model}}
	c.stream, err = t.model.Scheduler.Submit(drawing, infer.Request{Prompt: ids, MaxTokens: min(t.o.Tokens, room), Sampler: draw, Stop: t.model.Ends})
	if err != nil {
		return "", err
	}
	write := func(s string) error {
		_, err := io.WriteString(t.out, s)
		return err
	}
	err = c.drain(func() error {
		if err := drawing.Err(); err != nil { // not what was drawn before the interrupt came
			return err
		}
		return write(c.take(false))
	})
	switch {
	case err == nil:
		err = write(c.take(true))
	case drawing.Err() != nil && ctx.Err() == nil:
		err = nil
	}
	return c.text.String()[:c.sent], err
}

// save writes the chat as one line of JSON.
func (t *talk) save(path string) error {
	if path == "" {
		return errors.New("/save needs a FILE")
	}
	text, err := json.Marshal(t.said)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

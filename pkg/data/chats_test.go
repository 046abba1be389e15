package data

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/ecospa/ecospa/pkg/chat"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

func chatML(t *testing.T) *chat.Template {
	t.Helper()
	source, err := chat.Named("chatml")
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := chat.Compile(source, chat.Tokens{})
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func put(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// One conversation in every format is the same document, of which exactly the
// assistant's turn with its end is predicted.
func TestChatsInEveryFormat(t *testing.T) {
	const want = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n"
	const messages = `[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello."}]`
	rows := filepath.Join(t.TempDir(), "x.parquet")
	if err := parquet.WriteFile(rows, []struct {
		ID       int64  `parquet:"id"`
		Messages string `parquet:"messages"`
	}{{1, messages}}); err != nil {
		t.Fatal(err)
	}
	pair := filepath.Join(t.TempDir(), "y.parquet")
	if err := parquet.WriteFile(pair, []struct {
		Prompt   string `parquet:"prompt"`
		Response string `parquet:"response"`
	}{{"Hi", "Hello."}}); err != nil {
		t.Fatal(err)
	}
	for path, format := range map[string]string{
		put(t, "a.jsonl", `{"messages":`+messages+`}`+"\n"):                                                           "openai",
		put(t, "b.json", `[{"conversations":[{"from":"human","value":"Hi"},{"from":"gpt","value":"Hello."}]}]`):       "sharegpt",
		put(t, "c.jsonl", `{"instruction":"Hi","input":"","output":"Hello."}`):                                        "alpaca",
		put(t, "d.csv", "prompt,response\nHi,Hello.\n"):                                                               "prompt",
		put(t, "e.jsonl", "{\"question\":\"Hi\",\"answer\":\"Hello.\"}\n{\"question\":\"Hi\",\"answer\":\"Hello.\"}"): "prompt",
		rows: "openai", pair: "prompt",
	} {
		for _, named := range []string{"", format} {
			p, err := Read(path, Options{Format: named})
			if err != nil {
				t.Errorf("%s as %q: %v", path, named, err)
				continue
			}
			p.Template = chatML(t)
			ids, err := all(Encode(tokenizer.Bytes{}, p))
			if err != nil || !p.Chats() || p.Pack != PackDocuments || ids.Documents() != len(p.Documents) {
				t.Fatalf("%s: %d documents of %d records (%v)", path, ids.Documents(), len(p.Documents), err)
			}
			for _, e := range ids.Examples(9, 0) {
				var text, learned strings.Builder
				for i, id := range e.IDs {
					text.WriteByte(byte(id))
					if e.Learned[i] {
						learned.WriteByte(byte(id))
					}
				}
				if text.String() != want || learned.String() != "Hello.<|im_end|>" {
					t.Errorf("%s: %q, of which %q is learned", path, text.String(), learned.String())
				}
			}
		}
	}
}

// Batches of chats predict the assistant's turns and nothing else.
func TestBatchesOfChatsPredictAnswers(t *testing.T) {
	path := put(t, "x.jsonl", `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"one"},{"role":"user","content":"Q"},{"role":"assistant","content":"two"}]}
{"messages":[{"role":"user","content":"nobody answers"}]}
{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"three"}]}
`)
	p, err := Read(path, Options{})
	if err != nil || p.Skipped != 1 || len(p.Documents) != 2 {
		t.Fatalf("%d documents, %d skipped (%v)", len(p.Documents), p.Skipped, err)
	}
	p.Template = chatML(t)
	ids, err := all(Encode(tokenizer.Bytes{}, p))
	if err != nil {
		t.Fatal(err)
	}
	const answers = len("one<|im_end|>two<|im_end|>three<|im_end|>")
	if got := packing(t, ids, 256); got.Learned != answers || got.Documents != 2 || got.Cut != 0 {
		t.Errorf("%+v, expected %d learned", got, answers)
	}
	b, err := NewBatches(ids, 1, 256, Cursor{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := b.Next()
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for i, id := range batch.Targets {
		if id < 0 {
			continue
		}
		got.WriteByte(byte(id))
		if batch.Starts[i] > int32(i) {
			t.Errorf("padding at %d is predicted", i)
		}
	}
	if s := got.String(); s != "one<|im_end|>two<|im_end|>three<|im_end|>" || batch.Predicted() != answers {
		t.Errorf("%q is predicted", s)
	}
	train, held := p.Split(0.3)
	if len(train.Documents) != 1 || len(held.Documents) != 1 || len(held.places) != 1 || !held.Chats() {
		t.Errorf("split into %d and %d", len(train.Documents), len(held.Documents))
	}
}

func TestChatsAreRefusedByFileLineAndKey(t *testing.T) {
	good := `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"one"}]}` + "\n"
	for text, want := range map[string]string{
		good + `{"messages":[{"content":"x"}]}`:               `x.jsonl: line 2: chat: not a conversation: messages`,
		good + `{"messages":"x"}`:                             `line 2`,
		good + `{"text":"x"}`:                                 `line 2: chat: not a conversation: the keys are text`,
		`{"body":"x"}`:                                        `line 1 has no field "text", it has body`,
		`{"text":"x"}` + "\n" + good:                          `line 2 has no field "text"`,
		good + `{"conversations":[{"from":"me","value":""}]}`: `conversations[0]: "from" is "me"`,
	} {
		_, err := Read(put(t, "x.jsonl", text), Options{})
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, expected %q", text, err, want)
		}
	}
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"x.txt":   {Options{Format: "openai"}, "it is one text"},
		"x.jsonl": {Options{Format: "sharegpt"}, `no "conversations"`},
		"y.jsonl": {Options{Format: FormatText}, `no field "text"`},
	} {
		if _, err := Read(put(t, name, good), c.o); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, expected %q", name, err, c.want)
		}
	}
	if _, err := Read(put(t, "x.jsonl", `{"text":"a"}`), Options{Template: "chatml"}); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "holds no chats") {
		t.Error(err)
	}
	// Records that have the field are texts, whatever else they hold.
	p, err := Read(put(t, "x.jsonl", `{"text":"a","messages":[]}`), Options{})
	if err != nil || p.Chats() {
		t.Errorf("chats: %v (%v)", p.Chats(), err)
	}
}

// A file of the cache is of one template.
func TestCacheKnowsTheTemplate(t *testing.T) {
	p, err := Read(put(t, "x.jsonl", `{"prompt":"Q","response":"one"}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := all(Encode(tokenizer.Bytes{}, p)); !errors.Is(err, ErrFormat) {
		t.Errorf("%v, expected an error without a template", err)
	}
	cache := Cache{Dir: t.TempDir()}
	for _, name := range []string{"chatml", "plain", "chatml"} {
		source, err := chat.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Template, err = chat.Compile(source, chat.Tokens{EOS: "<e>"}); err != nil {
			t.Fatal(err)
		}
		got, err := all(cache.Encode(tokenizer.Bytes{}, p))
		if err != nil {
			t.Fatal(err)
		}
		if want, err := all(Encode(tokenizer.Bytes{}, p)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the cache gives %d tokens, expected %d (%v)", name, len(got), len(want), err)
		}
	}
}

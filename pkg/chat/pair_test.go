package chat

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// TestParsePair: the published spellings of one pair are the same two conversations.
func TestParsePair(t *testing.T) {
	want := [2][]Message{
		{{Role: "user", Content: "Hi"}, {Role: "assistant", Content: "Yes."}},
		{{Role: "user", Content: "Hi"}, {Role: "assistant", Content: "No."}},
	}
	const user, yes, no = `{"role":"user","content":"Hi"}`, `{"role":"assistant","content":"Yes."}`, `{"role":"assistant","content":"No."}`
	for name, record := range map[string]string{
		"texts":                 `{"prompt":"Hi","chosen":"Yes.","rejected":"No."}`,
		"a question":            `{"question":"Hi","chosen":"Yes.","rejected":"No.","system":""}`,
		"alpaca":                `{"instruction":"Hi","input":"","chosen":"Yes.","rejected":"No."}`,
		"lists":                 `{"prompt":[` + user + `],"chosen":[` + yes + `],"rejected":[` + no + `]}`,
		"messages":              `{"messages":[` + user + `],"chosen":` + yes + `,"rejected":` + no + `}`,
		"without a prompt":      `{"chosen":[` + user + `,` + yes + `],"rejected":[` + user + `,` + no + `]}`,
		"prompt and all of it":  `{"prompt":"Hi","chosen":[` + user + `,` + yes + `],"rejected":[` + user + `,` + no + `],"messages":null}`,
		"sharegpt":              `{"conversations":[{"from":"human","value":"Hi"}],"chosen":{"from":"gpt","value":"Yes."},"rejected":{"from":"gpt","value":"No."}}`,
		"OpenAI's fine-tuning":  `{"input":{"messages":[` + user + `],"tools":[]},"preferred_output":[` + yes + `],"non_preferred_output":[` + no + `]}`,
		"Anthropic's dialogues": `{"chosen":"\n\nHuman: Hi\n\nAssistant: Yes.","rejected":"\n\nHuman: Hi\n\nAssistant: No."}`,
	} {
		p, err := ParsePair([]byte(record))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(p.Chosen.Messages, want[0]) || !reflect.DeepEqual(p.Rejected.Messages, want[1]) || p.Chosen.Given != 1 || p.Same() {
			t.Errorf("%s: %+v", name, p)
		}
		if !IsPair([]byte(record)) {
			t.Errorf("%s is no pair", name)
		}
	}
	for want, record := range map[string]string{
		"no JSON object":                        `[]`,
		"expected the keys chosen and rejected": `{"prompt":"Hi","chosen":"Yes."}`,
		"a text without a prompt":               `{"chosen":"Yes.","rejected":"No."}`,
		"there is no prompt":                    `{"chosen":[` + yes + `],"rejected":[` + no + `]}`,
		"no messages":                           `{"prompt":"Hi","chosen":[],"rejected":[]}`,
		"chosen: ":                              `{"prompt":"Hi","chosen":3,"rejected":"No."}`,
	} {
		if _, err := ParsePair([]byte(record)); !errors.Is(err, ErrRecord) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", record, err, want)
		}
	}
	same, err := ParsePair([]byte(`{"prompt":"Hi","chosen":"Yes.","rejected":"Yes."}`))
	if err != nil || !same.Same() {
		t.Errorf("a pair of the same answers: %+v (%v)", same, err)
	}
}

// TestPairLearnsTheAnswer: of a dialogue only what differs is learned, in every manner of template.
func TestPairLearnsTheAnswer(t *testing.T) {
	chosen, err := json.Marshal(talk)
	if err != nil {
		t.Fatal(err)
	}
	other := append(append([]Message(nil), talk[:4]...), Message{Role: "assistant", Content: "So long."})
	rejected, err := json.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParsePair([]byte(`{"chosen":` + string(chosen) + `,"rejected":` + string(rejected) + `}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, source := range manners {
		for i, c := range []Conversation{p.Chosen, p.Rejected} {
			text, spans, err := compile(t, source).Learn(c)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if want := []string{"Bye é 🦊", "So long."}[i]; len(spans) != 1 || !strings.Contains(text[spans[0].From:spans[0].To], want) {
				t.Errorf("%s: %v of %q is learned", name, spans, text)
			}
		}
	}
}

// FuzzParsePair holds that no record makes ParsePair panic, or give answers without messages.
func FuzzParsePair(f *testing.F) {
	f.Add([]byte(`{"prompt":"Hi","chosen":[{"from":"gpt","value":"Yes."}],"rejected":"\n\nHuman: a\n\nAssistant:"}`))
	f.Add([]byte(`{"input":{"messages":[]},"preferred_output":{},"non_preferred_output":[]}`))
	f.Fuzz(func(t *testing.T, record []byte) {
		p, err := ParsePair(record)
		if err == nil && (len(p.Chosen.Messages) == 0 || len(p.Rejected.Messages) == 0 || p.Chosen.Given > len(p.Rejected.Messages)) {
			t.Errorf("%q: %+v", record, p)
		}
	})
}

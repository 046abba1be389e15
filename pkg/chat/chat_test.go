package chat

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// Templates in the manner of the families': what is awkward about each is here.
var manners = map[string]string{
	"chatml": named["chatml"],
	"a system text of its own": `{% for m in messages %}{% if loop.first and m.role != 'system' %}{{ '<|im_start|>system\nBe.<|im_end|>\n' }}{% endif %}` +
		`{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`,
	"headers, as Llama 3": `{{ bos_token }}{% for m in messages %}{{ '<|start|>' + m['role'] + '<|end|>\n\n' + m['content'] | trim + '<|eot|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>\n\n' }}{% endif %}`,
	"roles that must alternate, as Gemma": `{{ bos_token }}{% if messages[0].role == 'system' %}{% set first = messages[0].content + '\n\n' %}{% set rest = messages[1:] %}{% else %}{% set first = '' %}{% set rest = messages %}{% endif %}` +
		`{% for m in rest %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}<turn>{{ 'model' if m.role == 'assistant' else m.role }}
{{ first if loop.first }}{{ m.content | trim }}</turn>
{% endfor %}{% if add_generation_prompt %}{{ '<turn>model\n' }}{% endif %}`,
	"no prompt, as Mistral":                 `{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ ' [INST] ' + m.content + ' [/INST]' }}{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}{% else %}{{ m.content }}{% endif %}{% endfor %}`,
	"an end of the text as a whole, as Phi": `{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}`,
	"old thoughts are left out, as Qwen 3": `{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}` +
		`{% for m in messages %}{% set c = m.content %}{% if m.role == 'assistant' and loop.index0 > ns.last %}{% set c = '<think>\n' + m.get('thought', '') + '\n</think>\n\n' + c %}{% endif %}{{ '<|im_start|>' + m.role + '\n' + c + '<|im_end|>\n' }}{% endfor %}` +
		`{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`,
	"marked":              `{% for m in messages %}{% if m.role == 'assistant' %}A:{% generation %}{{ m.content }}<e>{% endgeneration %}{{ '\n' }}{% else %}{{ m.role + ':' + m.content + '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}A:{% endif %}`,
	"nothing ends a turn": `{% for m in messages %}{{ '## ' + m.role + '\n' + m.content + '\n\n' }}{% endfor %}{% if add_generation_prompt %}{{ '## assistant\n' }}{% endif %}`,
	"alpaca":              named["alpaca"], "zephyr": named["zephyr"], "plain": named["plain"],
}

var talk = []Message{{Role: "system", Content: "Be brief."}, {Role: "user", Content: "Hi there"}, {Role: "assistant", Content: "Hello\n\nyou."}, {Role: "user", Content: "Hello\n\nyou."}, {Role: "assistant", Content: "Bye é 🦊"}}

var ends = Tokens{BOS: "<s>", EOS: "</s>"}

func compile(t testing.TB, source string) *Template {
	t.Helper()
	tmpl, err := Compile(source, ends)
	if err != nil {
		t.Fatal(err)
	}
	tmpl.Now = func() time.Time { return time.Unix(0, 0) }
	return tmpl
}

// What is learned is what a model would be asked to write: each answer and what ends
// it, never a word of a user, though one of them says the same.
func TestLearnsTheAssistantsTurns(t *testing.T) {
	want := map[string][2]string{
		"chatml":                                {"Hello\n\nyou.<|im_end|>", "Bye é 🦊<|im_end|>"},
		"a system text of its own":              {"Hello\n\nyou.<|im_end|>", "Bye é 🦊<|im_end|>"},
		"headers, as Llama 3":                   {"Hello\n\nyou.<|eot|>", "Bye é 🦊<|eot|>"},
		"roles that must alternate, as Gemma":   {"Hello\n\nyou.</turn>", "Bye é 🦊</turn>"},
		"no prompt, as Mistral":                 {" Hello\n\nyou.</s>", " Bye é 🦊</s>"},
		"an end of the text as a whole, as Phi": {"Hello\n\nyou.<|end|>", "Bye é 🦊<|end|></s>"},
		"old thoughts are left out, as Qwen 3":  {"Hello\n\nyou.<|im_end|>", "<think>\n\n</think>\n\nBye é 🦊<|im_end|>"},
		"marked":                                {"Hello\n\nyou.<e>", "Bye é 🦊<e>"},
		"nothing ends a turn":                   {"Hello\n\nyou.\n\n", "Bye é 🦊\n\n"},
		"alpaca":                                {"Hello\n\nyou.</s>", "Bye é 🦊</s>"},
		"zephyr":                                {"Hello\n\nyou.</s>", "Bye é 🦊</s>"},
		"plain":                                 {"Hello\n\nyou.</s>", "Bye é 🦊</s>"},
	}
	for name, source := range manners {
		tmpl := compile(t, source)
		text, spans, err := tmpl.Learn(Conversation{Messages: talk})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, s := range spans {
			got = append(got, text[s.From:s.To])
		}
		w := want[name]
		if !reflect.DeepEqual(got, w[:]) {
			t.Errorf("%s learns %q of %q, expected %q", name, got, text, w)
		}
		if full, err := tmpl.Render(Conversation{Messages: talk}, false); err != nil || full != text {
			t.Errorf("%s: Learn renders %q, Render %q (%v)", name, text, full, err)
		}
	}
}

func TestLearnsCallsOfTools(t *testing.T) {
	tmpl := compile(t, `{% for m in messages %}<{{ m.role }}>{{ m.content or '' }}{% for c in m.tool_calls or [] %}[{{ c.function.name }} {{ c.function.arguments | tojson }}]{% endfor %}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}`)
	var c Conversation
	record := `{"messages":[{"role":"user","content":"?"},{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":{"z":1,"a":2}}}]},{"role":"tool","content":"3","name":"f"},{"role":"assistant","content":[{"type":"text","text":"ok"}]}],"tools":[{"name":"f"}]}`
	c, err := Parse([]byte(record), "")
	if err != nil {
		t.Fatal(err)
	}
	if c.Messages[3].Content != "ok" || c.Messages[3].JSON == nil || string(c.Tools) != `[{"name":"f"}]` {
		t.Errorf("read as %+v", c)
	}
	c.Messages[3].JSON = nil
	text, spans, err := tmpl.Learn(c)
	if err != nil {
		t.Fatal(err)
	}
	if len(spans) != 2 || text[spans[0].From:spans[0].To] != `[f {"z": 1, "a": 2}]<end>` || text[spans[1].From:spans[1].To] != "ok<end>" {
		t.Errorf("learns %v of %q", spans, text)
	}
}

func TestParse(t *testing.T) {
	user, answer := Message{Role: "user", Content: "q"}, Message{Role: "assistant", Content: "a"}
	sys := Message{Role: "system", Content: "s"}
	for record, want := range map[string][]Message{
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}`:                                  {user, answer},
		`{"conversations":[{"from":"system","value":"s"},{"from":"human","value":"q"},{"from":"gpt","value":"a"}],"id":7}`: {sys, user, answer},
		`{"system":"s","conversations":[{"from":"Human","value":"q"},{"from":"GPT","value":"a"}]}`:                         {sys, user, answer},
		`{"conversations":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}`:                             {user, answer},
		`{"instruction":"q","input":"","output":"a"}`:                                                                      {user, answer},
		`{"instruction":"q","input":"x","output":"a","system":"s","history":null}`:                                         {sys, {Role: "user", Content: "q\n\nx"}, answer},
		`{"prompt":"q","response":"a"}`:   {user, answer},
		`{"prompt":"q","completion":"a"}`: {user, answer},
		`{"question":"q","answer":"a"}`:   {user, answer},
		`{"prompt":[{"role":"system","content":"s"},{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"a"}]}`: {sys, user, answer},
		`{"messages":null,"prompt":"q","response":"a"}`: {user, answer},
	} {
		c, err := Parse([]byte(record), "")
		if err != nil || !reflect.DeepEqual(c.Messages, want) {
			t.Errorf("%s is %+v (%v), expected %+v", record, c.Messages, err, want)
		}
	}
	for record, want := range map[string]string{
		``: "no JSON object", `[]`: "no JSON object", `{"text":"x"}`: "the keys are text", `{"messages":[]}`: "0 messages", `{"messages":[{"content":"x"}]}`: `no "role"`,
		`{"messages":[{"role":"user","content":3}]}`: "neither a string nor", `{"messages":{}}`: "messages", `{"conversations":[{"from":"me","value":"x"}]}`: `"from" is "me"`,
		`{"conversations":[{"from":"gpt","value":3}]}`: `"value" is no string`, `{"instruction":1,"output":"x"}`: `"instruction" is no string`,
		`{"prompt":"x","response":"y","tools":"x"}`: `"tools" is no list`,
	} {
		if _, err := Parse([]byte(record), ""); !errors.Is(err, ErrRecord) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, expected one line with %q", record, err, want)
		}
	}
	if _, err := Parse([]byte(`{"prompt":"q","response":"a","messages":[{"role":"user","content":"z"}]}`), "prompt"); err != nil {
		t.Error(err)
	}
	for _, name := range append(order, "other") {
		if _, err := Parse([]byte(`{"text":"x"}`), name); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMessagesKeepWhatTheyHold(t *testing.T) {
	for _, text := range []string{`{"role":"user","content":"q"}`, `{"role":"assistant","content":null,"tool_calls":[{"id":1}]}`, `{"role":"user","content":[{"type":"text","text":"a"},{"type":"image"}]}`, `{"role":"tool","content":"x","name":"f"}`} {
		var m Message
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		if back, err := json.Marshal(m); err != nil || string(back) != text {
			t.Errorf("%s is written back as %s (%v)", text, back, err)
		}
	}
}

func TestEncodeMarksTokens(t *testing.T) {
	tmpl := compile(t, named["chatml"])
	c := Conversation{Messages: talk}
	ids, learned, err := tmpl.Encode(tokenizer.Bytes{}, c)
	if err != nil {
		t.Fatal(err)
	}
	text, spans, err := tmpl.Learn(c)
	if err != nil || len(ids) != len(text) || len(learned) != len(ids) {
		t.Fatalf("%d ids, %d marks for %d bytes (%v)", len(ids), len(learned), len(text), err)
	}
	n := 0
	for i := range ids {
		in := false
		for _, s := range spans {
			in = in || i >= s.From && i < s.To
		}
		if learned[i] != in {
			t.Fatalf("byte %d is learned: %v", i, learned[i])
		}
		if in {
			n++
		}
	}
	if n == 0 {
		t.Error("nothing is learned")
	}
}

// A token that begins in front of an answer and reaches into it is learned, for a
// tokenizer whose pieces are the text and for one that puts a space in front.
func TestEncodeAtTheEdges(t *testing.T) {
	const plain = `{"added_tokens":[{"id":4,"content":"<e>","special":true}],"model":{"type":"BPE","vocab":{"a":0,":":1,":a":2,"b":3},"merges":[": a"]},"decoder":{"type":"Fuse"}}`
	const spaced = `{"added_tokens":[{"id":4,"content":"<e>","special":true}],"normalizer":{"type":"Prepend","prepend":"b"},"model":{"type":"BPE","vocab":{"a":0,":":1,":a":2,"b":3},"merges":[": a"]},"decoder":{"type":"Fuse"}}`
	tmpl := compile(t, `{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}<e>{% else %}:{% endif %}{% endfor %}`)
	c := Conversation{Messages: []Message{{Role: "user", Content: "b"}, {Role: "assistant", Content: "ab"}, {Role: "user", Content: "a"}}}
	for file, want := range map[string][]bool{plain: {false, true, true, true, false, false}, spaced: {false, false, true, true, true, false, false, false}} {
		tok, err := tokenizer.Parse([]byte(file))
		if err != nil {
			t.Fatal(err)
		}
		ids, learned, err := tmpl.Encode(tok, c)
		if err != nil || !reflect.DeepEqual(learned, want) {
			t.Errorf("%v are learned: %v (%v), expected %v", ids, learned, err, want)
		}
	}
}

func TestTemplatesAreRefusedInOneLine(t *testing.T) {
	for _, source := range []string{"{{", "{% for %}", "{% include 'x' %}"} {
		if _, err := Compile(source, ends); !errors.Is(err, ErrTemplate) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", source, err)
		}
	}
	for _, source := range []string{`{{ raise_exception('only\nusers') }}`, `{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}`, `{{ messages[0].x.y }}`} {
		if _, err := compile(t, source).Render(Conversation{Messages: talk}, true); !errors.Is(err, ErrTemplate) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", source, err)
		}
	}
	// A template that shows no answers teaches nothing, and says so.
	if _, _, err := compile(t, `{{ messages|length }}`).Learn(Conversation{Messages: talk}); !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), "message 2") {
		t.Errorf("%v, expected an error about message 2", err)
	}
	if _, err := Named("nonsense"); !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), "alpaca, chatml, plain, zephyr") {
		t.Errorf("%v, expected the names", err)
	}
}

func TestReadTokens(t *testing.T) {
	got, err := ReadTokens([]byte(`{"bos_token":{"content":"<s>"},"eos_token":"</s>","pad_token":null}`), []byte(`{"eos_token":"other","pad_token":"<p>","unk_token":{"content":"<u>"}}`))
	if want := (Tokens{"<s>", "</s>", "<p>", "<u>"}); err != nil || got != want {
		t.Errorf("%+v (%v), expected %+v", got, err, want)
	}
	if _, err := ReadTokens([]byte("["), nil); err == nil {
		t.Error("no JSON was read")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"text":"a"}],"x":1}],"tools":[1]}`))
	f.Add([]byte(`{"conversations":[{"from":"human","value":"q"}]}`))
	f.Add([]byte(`{"instruction":"q","input":"x","output":"a"}`))
	tmpl := compile(f, manners["old thoughts are left out, as Qwen 3"])
	f.Fuzz(func(t *testing.T, record []byte) {
		c, err := Parse(record, "")
		if err != nil {
			return
		}
		text, spans, err := tmpl.Learn(c)
		if err != nil {
			return
		}
		last := 0
		for _, s := range spans {
			if s.From < last || s.From >= s.To || s.To > len(text) {
				t.Errorf("spans %v of %d bytes", spans, len(text))
			}
			last = s.To
		}
		if _, _, err := tmpl.Encode(tokenizer.Bytes{}, c); err != nil {
			t.Error(err)
		}
	})
}

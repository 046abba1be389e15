package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/workload"
)

// Inputs as people bring them, by the whole command line. docs/results/field.md lists the
// kinds.

type object = map[string]any

// sayer is a small llama that goes on from each token as next says, and from any other
// as next[-1]. Its tokenizer has the 256 bytes, and added tokens from id 256 on.
type sayer struct {
	vocab int // rows
	next  map[int]int
	added []string
	eos   string // config.json's eos_token_id
}

// write makes the model's directory.
func (s sayer) write(t *testing.T, dir string) string {
	t.Helper()
	no := false
	m, err := model.New(model.Sizes{Family: "llama", Layers: 1, Width: 16, Heads: 2, KVHeads: 1, FFN: 16, Vocab: s.vocab, Context: 64, Tied: &no})
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	set.Init(1) // what is between them is small, and changes nothing
	var embed, head []float32
	for _, p := range set.Params {
		switch p.Role {
		case param.Embed:
			embed = p.Data()
		case param.Head:
			head = p.Data()
		}
	}
	clear(embed)
	clear(head)
	for id := range s.vocab { // of the tokens of next one direction each, of all others one
		embed[id*16+15] = 1
	}
	head[s.next[-1]*16+15] = 10
	at := 0
	for id, to := range s.next {
		if id >= 0 {
			embed[id*16+15], embed[id*16+at] = 0, 1
			head[to*16+at] = 10
			at++
		}
	}
	if err := (&bundle.Bundle{Model: m, Set: set}).Save(dir, bundle.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if s.eos == "" {
		s.eos = "null"
	}
	config := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	put(t, config, strings.Replace(string(text), `"eos_token_id": null`, `"eos_token_id": `+s.eos, 1))
	put(t, filepath.Join(dir, "tokenizer.json"), bytesWith(t, s.added...))
	return dir
}

func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// bytesWith is a tokenizer.json like GPT-2's whose ids are the bytes, and added tokens.
func bytesWith(t *testing.T, added ...string) string {
	t.Helper()
	vocab, n := object{}, 0
	for b := range 256 {
		r := rune(b)
		if b <= 32 || b >= 127 && b <= 160 || b == 173 {
			r = rune(256 + n)
			n++
		}
		vocab[string(r)] = b
	}
	level := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	file := object{"version": "1.0", "normalizer": nil, "pre_tokenizer": level, "post_processor": nil, "decoder": level,
		"model": object{"type": "BPE", "vocab": vocab, "merges": []string{}}}
	var all []object
	for i, text := range added {
		all = append(all, object{"id": 256 + i, "content": text, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
	}
	file["added_tokens"] = all
	return encoded(t, file)
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sentencePiece is a tokenizer.json as Llama 2's: a blank goes in front of a text, and the
// beginning of a text in front of that.
func sentencePiece(t *testing.T) (text string, vocab int) {
	t.Helper()
	ids := object{"<unk>": 0, "<s>": 1, "</s>": 2}
	for b := range 256 {
		ids[fmt.Sprintf("<0x%02X>", b)] = len(ids)
	}
	for _, c := range "▁etahc?.\n" {
		ids[string(c)] = len(ids)
	}
	var merges []string
	for _, m := range []string{"▁ t", "h e", "▁t he", "▁ ▁"} {
		merges = append(merges, m)
		ids[strings.Replace(m, " ", "", 1)] = len(ids)
	}
	var added []object
	for id, s := range []string{"<unk>", "<s>", "</s>"} {
		added = append(added, object{"id": id, "content": s, "special": true})
	}
	s, a := object{"SpecialToken": object{"id": "<s>", "type_id": 0}}, object{"Sequence": object{"id": "A", "type_id": 0}}
	return encoded(t, object{"version": "1.0", "added_tokens": added, "pre_tokenizer": nil,
		"normalizer":     object{"type": "Sequence", "normalizers": []object{{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": object{"String": " "}, "content": "▁"}}},
		"post_processor": object{"type": "TemplateProcessing", "single": []object{s, a}, "pair": []object{s, a, a}, "special_tokens": object{"<s>": object{"id": "<s>", "ids": []int{1}, "tokens": []string{"<s>"}}}},
		"decoder":        object{"type": "Sequence", "decoders": []object{{"type": "Replace", "pattern": object{"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}}},
		"model":          object{"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": ids, "merges": merges},
	}), len(ids)
}

// measured is eval's result on data.
func measured(t *testing.T, model, data string, more ...string) (r workload.TextResult) {
	t.Helper()
	out, _ := mustRun(t, append([]string{"ecospa", "eval", "--model", model, "--data", data, "--json"}, more...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestModelsOwnEnd: the token that the model's files call the end stops a text and stands
// between documents, whatever its name is and wherever it is named.
func TestModelsOwnEnd(t *testing.T) {
	dir := t.TempDir()
	two := put(t, filepath.Join(dir, "two.jsonl"), `{"text":"a"}`+"\n"+`{"text":"b"}`+"\n")
	say := sayer{vocab: 260, next: map[int]int{'h': 'i', 'i': 257, 257: 'h', -1: 'h'}, added: []string{"<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<turn>"}}
	for name, c := range map[string]struct{ eos, file, text string }{
		"config.json":            {"257", "", ""},
		"a list":                 {"[258, 257]", "", ""},
		"generation_config.json": {"258", "generation_config.json", `{"eos_token_id": [257, 258]}`},
		"tokenizer_config.json":  {"", "tokenizer_config.json", `{"eos_token": {"content": "<｜end▁of▁sentence｜>"}}`},
		"special_tokens_map":     {"", "special_tokens_map.json", `{"eos_token": "<｜end▁of▁sentence｜>"}`},
	} {
		say.eos = c.eos
		m := say.write(t, filepath.Join(dir, name))
		if c.file != "" {
			put(t, filepath.Join(m, c.file), c.text)
		}
		if out, _ := mustRun(t, "ecospa", "generate", "--model", m, "--prompt", "say:", "--tokens", "12", "--temperature", "0"); out != "say:hi\n" {
			t.Errorf("%s: %q", name, out)
		}
		// Of a, end, b, end the first is not predicted.
		if r := measured(t, m, two); r.Tokens != 3 || r.Documents != 2 {
			t.Errorf("%s: %d tokens of %d documents, expected 3 of 2", name, r.Tokens, r.Documents)
		}
	}
}

// TestVocabulariesThatDoNotAgree: a model with fewer or more rows than its tokenizer has
// ids is generated from, trained, pruned and exported.
func TestVocabulariesThatDoNotAgree(t *testing.T) {
	dir := t.TempDir()
	text := put(t, filepath.Join(dir, "t.txt"), strings.Repeat("the cat sat on the mat and saw that hat. ", 40))
	spelled := put(t, filepath.Join(dir, "spelled.txt"), strings.Repeat("a<pad>b", 100))
	fewer := sayer{vocab: 257, next: map[int]int{'h': 'i', -1: 'h'}, added: []string{"<|endoftext|>", "<pad>"}}.write(t, filepath.Join(dir, "fewer"))
	more := sayer{vocab: 320, next: map[int]int{'h': 310, 310: 'i', -1: 'h'}, added: []string{"<|endoftext|>"}}.write(t, filepath.Join(dir, "more"))
	for name, m := range map[string]string{"fewer": fewer, "more": more} {
		out, _ := mustRun(t, "ecospa", "generate", "--model", m, "--prompt", "say:", "--tokens", "8", "--temperature", "0")
		if !strings.HasPrefix(out, "say:h") {
			t.Errorf("%s: %q", name, out)
		}
		mustRun(t, append(tune(m, text, m+"-tuned", "train.steps=2", "train.sample=4", "train.context=16"), "--set", "train.batch=2")...)
		mustRun(t, "ecospa", "prune", "--from", m, "--data", text, "--target", "0.9x", "--of", "prunable", "--sequences", "2", "--context", "16", "--basis", "none", "--compensate", "none", "--allocation", "global", "--out", m+"-pruned")
		mustRun(t, "ecospa", "export", "--model", m, "--format", "gguf", "--out", m+".gguf")
		back, _ := mustRun(t, "ecospa", "generate", "--model", m+".gguf", "--prompt", "say:", "--tokens", "8", "--temperature", "0")
		if back != out {
			t.Errorf("%s: from the GGUF file %q, expected %q", name, back, out)
		}
	}
	// A new model whose table is padded ends its run with a sample and a summary.
	run := filepath.Join(dir, "run")
	mustRun(t, small(run, "model.vocab=400", "train.steps=3", "prune.target=")...)
	if _, err := os.Stat(filepath.Join(run, "summary.json")); err != nil {
		t.Error(err)
	}
	refused(t, []bad{
		{"a prompt that spells the token without a row", []string{"ecospa", "generate", "--model", fewer, "--prompt", "a<pad>"}, 3, []string{"<pad>", "257"}},
		{"a text that does", []string{"ecospa", "eval", "--model", fewer, "--data", spelled}, 3, []string{"spelled.txt", "257"}},
		{"training on it", tune(fewer, spelled, filepath.Join(dir, "no")), 3, []string{"spelled.txt", "257"}},
	})
}

// TestPromptAndResponseAreOneText: of the tokens that prompt and response have together
// those of the response are predicted, whatever the tokenizer puts in front of a text.
func TestPromptAndResponseAreOneText(t *testing.T) {
	dir := t.TempDir()
	text, vocab := sentencePiece(t)
	llama := sayer{vocab: vocab, next: map[int]int{-1: 5}}.write(t, filepath.Join(dir, "llama"))
	put(t, filepath.Join(llama, "tokenizer.json"), text)
	bytes := sayer{vocab: 256, next: map[int]int{-1: 5}}.write(t, filepath.Join(dir, "bytes"))
	for _, c := range []struct {
		model, prompt, response string
		predicted, joined       int // of the response, of the whole text
	}{
		{llama, "the cat?", " the hat", 5, 11}, // ▁the ▁ c a t ? ▁the ▁ h a t, behind <s>
		{llama, "the cat? ", "the hat", 5, 11},
		{llama, "the cat?\n", "the hat", 6, 13},
		{llama, "", "the", 1, 1},
		{bytes, "the cat?", " the hat", 8, 15},
	} {
		pair := put(t, filepath.Join(dir, "pair.jsonl"), encoded(t, object{"q": c.prompt, "a": c.response}))
		whole := put(t, filepath.Join(dir, "whole.jsonl"), encoded(t, object{"text": c.prompt + c.response}))
		got, all := measured(t, c.model, pair, "--field", "a", "--prompt-field", "q"), measured(t, c.model, whole)
		if got.Tokens != c.predicted || all.Tokens != c.joined {
			t.Errorf("%s %q %q: %d of %d tokens, expected %d of %d", filepath.Base(c.model), c.prompt, c.response, got.Tokens, all.Tokens, c.predicted, c.joined)
		}
	}
}

// TestPromptsLongerThanTheWindow: they are cut from the left and counted, and what is
// learned is the response; data without a response are refused before the first step.
func TestPromptsLongerThanTheWindow(t *testing.T) {
	dir := t.TempDir()
	m := sayer{vocab: 256, next: map[int]int{-1: 'h'}}.write(t, filepath.Join(dir, "m"))
	long := put(t, filepath.Join(dir, "long.jsonl"), strings.Repeat(encoded(t, object{"prompt": strings.Repeat("a long question ", 60), "response": " x"})+"\n", 40))
	none := put(t, filepath.Join(dir, "none.jsonl"), strings.Repeat(`{"prompt":"q","response":""}`+"\n", 40))
	args := func(data, out string) []string {
		return tune(m, data, filepath.Join(dir, out), "data.field=response", "data.prompt=prompt", "train.steps=3", "train.batch=1", "train.context=32")
	}
	_, log := mustRun(t, args(long, "run")...)
	if !strings.Contains(log, "36 prompts truncated at the start") {
		t.Errorf("nothing is said of prompts that were cut:\n%s", log)
	}
	for _, l := range metrics(t, filepath.Join(dir, "run")) {
		if loss, ok := l["loss"].(float64); !ok || loss <= 0 {
			t.Errorf("a step has the loss %v", l["loss"])
		}
	}
	refused(t, []bad{{"no response", args(none, "no"), 3, []string{"none.jsonl", "40 records"}}})
}

// TestPathsOfPeople: blanks, umlauts, dashes, long names, links to folders.
func TestPathsOfPeople(t *testing.T) {
	t.Chdir(t.TempDir())
	sayer{vocab: 257, next: map[int]int{-1: 'h'}, added: []string{"<|endoftext|>"}}.write(t, "my model ü")
	put(t, "te xt.txt", strings.Repeat("the cat sat on the mat and saw that hat. ", 40))
	long := strings.Repeat("n", 200)
	mustRun(t, "ecospa", "eval", "--model", "my model ü", "--data", "te xt.txt")
	mustRun(t, "ecospa", "export", "--model", "my model ü", "--format", "gguf", "--out", "./-x y#é.gguf")
	mustRun(t, "ecospa", "prune", "--from", "my model ü", "--data", "te xt.txt", "--target", "0.9x", "--of", "prunable", "--sequences", "2", "--context", "16", "--basis", "none", "--compensate", "none", "--allocation", "global", "--out", long)
	if err := os.Mkdir("real", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", "link"); err != nil {
		t.Fatal(err)
	}
	mustRun(t, tune("my model ü", "te xt.txt", "link/a run", "train.steps=2", "train.context=16")...)
	for _, path := range []string{"./-x y#é.gguf", long + "/config.json", "real/a run/summary.json"} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestStrictConfig: an unknown key of config.json is one line, and with the flag an error
// of every command that opens a model.
func TestStrictConfig(t *testing.T) {
	t.Chdir(t.TempDir())
	sayer{vocab: 256, next: map[int]int{-1: 'h'}, eos: "null,\n\"zoo\": 3"}.write(t, "m")
	put(t, "t.txt", strings.Repeat("the cat sat. ", 40))
	put(t, "run.yaml", "from: m\ntrain: {steps: 2, batch: 2, context: 16, sample: 0}\n")
	commands := [][]string{
		{"eval", "--model", "m", "--data", "t.txt"}, {"inspect", "m"}, {"generate", "--model", "m", "--prompt", "a", "--tokens", "2"},
		{"export", "--model", "m", "--format", "hf", "--out", "hf"}, {"chat", "--model", "m", "--chat-template", "plain"},
		{"prune", "--from", "m", "--data", "t.txt", "--target", "0.9x", "--of", "prunable", "--dry-run", "--sequences", "2", "--context", "16", "--basis", "none", "--compensate", "none", "--allocation", "global"},
		{"finetune", "--config", "run.yaml", "--data", "t.txt", "--out", "r1"},
		{"finetune", "--from", "m", "--data", "t.txt", "--out", "r2", "--set", "train.steps=2", "--set", "train.context=16"},
	}
	for _, c := range commands {
		args := append([]string{"ecospa"}, c...)
		refused(t, []bad{{c[0], append(args, "--strict-config"), 3, []string{"config.json", "zoo"}}})
		code, _, log := runCommand(t, t.Context(), args...)
		if n := strings.Count(log, "zoo"); code != exitOK || n != 1 && c[0] != "chat" {
			t.Errorf("%s: exit code %d, %d notes of the unknown key:\n%s", c[0], code, n, log)
		}
	}
}

// TestPrunedForGGUFFillsBlocks: after prune --for gguf-* no matrix falls out of Q8_0.
func TestPrunedForGGUFFillsBlocks(t *testing.T) {
	t.Chdir(t.TempDir())
	put(t, "t.txt", strings.Repeat("the cat sat on the mat and saw that hat. ", 40))
	no := false
	m, err := model.New(model.Sizes{Family: "llama", Layers: 2, Width: 64, Heads: 4, KVHeads: 2, FFN: 160, Vocab: 257, Context: 64, Tied: &no})
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	set.Init(1)
	if err := (&bundle.Bundle{Model: m, Set: set}).Save("m", bundle.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	put(t, "m/tokenizer.json", bytesWith(t, "<|endoftext|>"))
	for _, target := range []string{"gguf-llama", "gguf-deci"} {
		mustRun(t, "ecospa", "prune", "--from", "m", "--data", "t.txt", "--target", "0.6x", "--of", "prunable", "--for", target, "--sequences", "4", "--context", "32", "--out", target)
		out, _ := mustRun(t, "ecospa", "export", "--model", target, "--format", "gguf", "--dtype", "q8_0", "--out", target+".gguf", "--json")
		var r struct {
			Other  []string `json:"other_type"`
			Params int      `json:"params"`
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Other) != 0 {
			t.Errorf("%s: %v are not Q8_0 (%v)", target, r.Other, err)
		}
	}
}

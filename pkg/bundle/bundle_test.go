package bundle

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// byteLevel is a tokenizer.json like GPT-2's over the 256 bytes, with added tokens from
// id 256 on, and a post-processor that puts front around a text where it is not empty.
func byteLevel(t testing.TB, front string, added ...string) string {
	t.Helper()
	vocab, n := map[string]int{}, 0
	for b := range 256 {
		r := rune(b)
		if b <= 32 || b >= 127 && b <= 160 || b == 173 {
			r = rune(256 + n)
			n++
		}
		vocab[string(r)] = b
	}
	type object map[string]any
	level := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	file := object{"version": "1.0", "normalizer": nil, "pre_tokenizer": level, "post_processor": nil, "decoder": level,
		"model": object{"type": "BPE", "vocab": vocab, "merges": []string{}}}
	var all []object
	for i, text := range added {
		all = append(all, object{"id": 256 + i, "content": text, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
		if text == front {
			a := object{"Sequence": object{"id": "A", "type_id": 0}}
			s := object{"SpecialToken": object{"id": front, "type_id": 0}}
			file["post_processor"] = object{"type": "TemplateProcessing", "single": []object{s, a}, "pair": []object{s, a, a},
				"special_tokens": object{front: object{"id": front, "ids": []int{256 + i}, "tokens": []string{front}}}}
		}
	}
	file["added_tokens"] = all
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEnds: eos_token_id of generation_config.json, then of config.json, then
// tokenizer_config.json's eos_token, then names; and what stands between documents.
func TestEnds(t *testing.T) {
	plain := byteLevel(t, "", "<|endoftext|>", "<end>", "<turn>")
	bos := byteLevel(t, "<begin>", "<|endoftext|>", "<end>", "<begin>")
	for _, c := range []struct {
		name, tokenizer, generation, config, settings string
		ends                                          []int32
		between                                       int32
	}{
		{"names", plain, "", "null", "", []int32{256}, 256},
		{"tokenizer_config.json", plain, "", "null", `{"eos_token":"<end>"}`, []int32{257}, 257},
		{"tokenizer_config.json, an object", plain, "", "null", `{"eos_token":{"content":"<end>"}}`, []int32{257}, 257},
		{"tokenizer_config.json, no token", plain, "", "null", `{"eos_token":"<none>"}`, []int32{256}, 256},
		{"special_tokens_map.json", plain, "special", "null", `{"eos_token":"<end>"}`, []int32{257}, 257},
		{"special_tokens_map.json, an object", plain, "special", "null", "\ufeff" + `{"eos_token":{"content":"<end>"}}`, []int32{257}, 257},
		{"config.json", plain, "", "257", `{"eos_token":"<turn>"}`, []int32{257}, 257},
		{"config.json, a list", plain, "", "[258,257]", "", []int32{258, 257}, 258},
		{"generation_config.json", plain, `{"eos_token_id":[258,256]}`, "257", "", []int32{258, 256}, 256},
		{"generation_config.json, null", plain, `{"eos_token_id":null}`, "257", "", []int32{257}, 257},
		{"an id that the model lacks", plain, `{"eos_token_id":50256}`, "257", "", []int32{257}, 257},
		{"a template that begins texts", bos, "", "257", "", []int32{257}, -1},
		{"add_eos_token false", plain, "", "257", `{"add_eos_token":false}`, []int32{257}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := saved(t, small, map[string]string{"tokenizer.json": c.tokenizer})
			edit(t, dir, "config.json", `"eos_token_id": null`, `"eos_token_id": `+c.config)
			if c.generation == "special" {
				put(t, dir, "special_tokens_map.json", c.settings)
				put(t, dir, "tokenizer_config.json", `{"model_max_length":1e30}`)
				c.generation, c.settings = "", ""
			}
			if c.generation != "" {
				put(t, dir, "generation_config.json", c.generation)
			}
			if c.settings != "" {
				put(t, dir, "tokenizer_config.json", c.settings)
			}
			b, err := Open(dir, Options{ShapesOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(b.Ends, c.ends) || b.Tokenizer.EOS() != c.ends[0] || tokenizer.DocumentEnd(b.Tokenizer) != c.between {
				t.Errorf("ends %v (EOS %d), between documents %d; expected %v, %d", b.Ends, b.Tokenizer.EOS(), tokenizer.DocumentEnd(b.Tokenizer), c.ends, c.between)
			}
		})
	}
}

// TestSaveLosesNothing: what a model came with it keeps, byte for byte.
func TestSaveLosesNothing(t *testing.T) {
	carry := map[string]string{
		"tokenizer.json":          byteLevel(t, "", "<|endoftext|>") + "\n ",
		"tokenizer_config.json":   `{"chat_template":"{{ messages }}","eos_token":"<|endoftext|>","odd":1}`,
		"generation_config.json":  `{"temperature":0.6,"eos_token_id":256,"odd":2}`,
		"special_tokens_map.json": `{"eos_token":"<|endoftext|>"}`,
		"chat_template.jinja":     "{{ bos_token }}",
		"added_tokens.json":       `{}`,
		"LICENSE":                 "free",
	}
	left := map[string]string{"README.md": "about the big one", "trainer_state.json": "{}", "pytorch_model.bin": "x", "summary.json": "{}", "training_args.bin": "x"}
	dir := saved(t, small, carry)
	for name, text := range left {
		put(t, dir, name, text)
	}
	edit(t, dir, "config.json", `"eos_token_id"`, `"pad_token_id": 3, "transformers_version": "4.40.0", "_name_or_path": "acme/tiny", "eos_token_id"`)
	b, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.ChatTemplate != carry["chat_template.jinja"] || b.Generation.Temperature == nil || *b.Generation.Temperature != 0.6 {
		t.Errorf("chat template %q, temperature %v", b.ChatTemplate, b.Generation.Temperature)
	}
	out := filepath.Join(t.TempDir(), "out")
	if err := b.Save(out, SaveOptions{DType: "BF16"}); err != nil {
		t.Fatal(err)
	}
	for name, text := range carry {
		if have, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(have) != text {
			t.Errorf("%s holds %q, %v; expected %q", name, have, err, text)
		}
	}
	for name := range left {
		if _, err := os.Stat(filepath.Join(out, name)); err == nil {
			t.Errorf("%s was carried along", name)
		}
	}
	var config map[string]any
	text, err := os.ReadFile(filepath.Join(out, "config.json"))
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err != nil || config["torch_dtype"] != "bfloat16" || config["pad_token_id"] != 3.0 || config["_name_or_path"] != "acme/tiny" {
		t.Errorf("%v: config.json is %s", err, text)
	}
	again, err := Open(out, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.DType != "BF16" || b.DType != "F32" {
		t.Errorf("types %s and %s, expected BF16 and F32", again.DType, b.DType)
	}
	// The type of the source is the default.
	if err := again.Save(out, SaveOptions{Replace: true}); err != nil {
		t.Fatal(err)
	}
	third, err := Open(out, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	if third.DType != "BF16" || !slices.Equal(third.Set.Weights.Data, again.Set.Weights.Data) {
		t.Errorf("saved again as %s, or with other weights", third.DType)
	}
	if err := again.Save(out, SaveOptions{}); err == nil {
		t.Error("Save wrote over a model")
	}
}

// TestTemplates: one text, or a list of named ones.
func TestTemplates(t *testing.T) {
	for want, text := range map[string]string{
		"a":    `{"chat_template":"a"}`,
		"b":    `{"chat_template":[{"name":"tools","template":"c"},{"name":"default","template":"b"}]}`,
		"":     `{"chat_template":null}`,
		"none": "",
	} {
		dir := saved(t, small, map[string]string{"tokenizer.json": byteLevel(t, "")})
		if text != "" {
			put(t, dir, "tokenizer_config.json", text)
		}
		b, err := Open(dir, Options{ShapesOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		if b.ChatTemplate != strings.TrimPrefix(want, "none") {
			t.Errorf("%s: the template is %q", text, b.ChatTemplate)
		}
	}
}

// TestAdapters: folded in, kept apart, and without their model, they give one model.
func TestAdapters(t *testing.T) {
	c := model.LoRA{Rank: 2, Targets: []string{model.TargetFFN}}
	src := drawn(t, small)
	a := adapters(t, src, c)
	dir := saved(t, small, nil)
	beside := filepath.Join(t.TempDir(), "beside")
	files, err := src.Files("")
	if err != nil {
		t.Fatal(err)
	}
	alone, old := filepath.Join(filepath.Dir(dir), "alone"), filepath.Join(filepath.Dir(dir), "old")
	peft, err := src.AdapterDir(a, "../m")
	if err != nil {
		t.Fatal(err)
	}
	earlier := append(checkpoint.Model{}.Files(a.Set, model.AdapterTensors(a.Set), "F32")[1:], checkpoint.JSONFile(adapterConfig, adapterFile{Base: "../m", LoRA: c}))
	for at, files := range map[string][]checkpoint.File{beside: append(files, AdapterFiles(a, c)...), alone: peft, old: earlier} {
		if err := checkpoint.WriteDir(at, files); err != nil {
			t.Fatal(err)
		}
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	a.Merge(pool, src.Set)
	for _, at := range []string{beside, alone, old} {
		b, err := Open(at, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if b.Adapters != nil || b.LoRA.Rank != 2 || b.LoRA.Scale() != 2 || !slices.Equal(b.LoRA.Targets, c.Targets) || !slices.Equal(b.Set.Weights.Data, src.Set.Weights.Data) {
			t.Errorf("%s: other weights, or adapters %v of %+v", at, b.Adapters, b.LoRA)
		}
		b.Close()
		if b, err = Open(at, Options{KeepAdapters: true}); err != nil {
			t.Fatal(err)
		}
		if b.Adapters == nil || slices.Equal(b.Set.Weights.Data, src.Set.Weights.Data) {
			t.Errorf("%s: adapters were not kept apart", at)
		} else if b.Adapters.Merge(pool, b.Set); !slices.Equal(b.Set.Weights.Data, src.Set.Weights.Data) {
			t.Errorf("%s: kept adapters give other weights", at)
		}
		b.Close()
	}
}

// TestVocabulariesNeedNotAgree: rows without a token, and added tokens without a row.
func TestVocabulariesNeedNotAgree(t *testing.T) {
	dir := saved(t, small, map[string]string{"tokenizer.json": byteLevel(t, "", "<|endoftext|>")})
	b, err := Open(dir, Options{ShapesOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if u := b.Unused(); len(u) != 13 || u[0] != 257 || u[12] != 269 {
		t.Errorf("unused ids %v, expected 257 to 269", u)
	}
	more := make([]string, 15)
	for i := range more {
		more[i] = fmt.Sprintf("<%d>", i)
	}
	put(t, dir, "tokenizer.json", byteLevel(t, "", more...))
	if b, err = Open(dir, Options{ShapesOnly: true}); err != nil || len(b.Unused()) != 0 || len(b.Notes) != 1 || !strings.Contains(b.Notes[0], "271") {
		t.Errorf("one added token more than rows: %v, notes %v", err, b)
	}
}

// TestMissing: a name of the hub is answered with what to type.
func TestMissing(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := Open("acme/tiny-1.5B", Options{})
	if err == nil || fault.Of(err) != fault.Input || !strings.Contains(err.Error(), "hf download acme/tiny-1.5B --local-dir tiny-1.5B") {
		t.Errorf("a name of the hub: %v", err)
	}
	for path, want := range map[string]string{
		"acme/tiny@main":                        "hf download acme/tiny --local-dir tiny)",
		"https://huggingface.co/acme/tiny":      "hf download acme/tiny --local-dir tiny)",
		"hf://acme/tiny":                        "hf download acme/tiny --local-dir tiny)",
		"gpt2":                                  "hf download gpt2 --local-dir gpt2)",
		"https://huggingface.co/a/b/tree/main/": "hf download a/b --local-dir b)",
	} {
		if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %s", path, err, want)
		}
	}
	if err := os.Mkdir("runs", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"runs/first", "/acme/tiny", "../acme", "tiny", "a/b/c", "acme/tiny.gguf", "./gpt2"} {
		if _, err := Open(path, Options{}); err == nil || strings.Contains(err.Error(), "download") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestCacheOfTheHub: a snapshot with links to its blobs is a model directory.
func TestCacheOfTheHub(t *testing.T) {
	dir := saved(t, small, nil)
	repository := filepath.Join(t.TempDir(), "models--acme--tiny")
	snapshot := filepath.Join(repository, "snapshots", "0123")
	for _, d := range []string{snapshot, filepath.Join(repository, "blobs")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json"} {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(repository, "blobs", "of-"+name)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../../blobs/of-"+name, filepath.Join(snapshot, name)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Open(snapshot, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	remove := filepath.Join(snapshot, "config.json")
	if err := os.Remove(remove); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Dir(repository), "secret.json", "{}")
	if err := os.Symlink("../../../secret.json", remove); err != nil {
		t.Fatal(err)
	}
	if b, err := Open(snapshot, Options{}); err == nil || !strings.Contains(err.Error(), "escapes") {
		b.Close()
		t.Errorf("a link out of the cache: %v", err)
	}
}

// TestTemplateWherever: the chat template stands in one of four places.
func TestTemplateWherever(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"text":           {settingsFile: `{"chat_template":"{{ 1 }}"}`},
		"mark in front":  {settingsFile: "\ufeff" + `{"chat_template":"{{ 1 }}"}`},
		"list":           {settingsFile: `{"chat_template":[{"name":"tool_use","template":"x"},{"name":"default","template":"{{ 1 }}"}]}`},
		"object":         {settingsFile: `{"chat_template":{"tool_use":"x","default":"{{ 1 }}"}}`},
		templateJSON:     {settingsFile: `{}`, templateJSON: `{"chat_template":"{{ 1 }}"}`},
		templateFile:     {templateFile: "{{ 1 }}"},
		"file over text": {templateFile: "{{ 1 }}", settingsFile: `{"chat_template":"x"}`},
	} {
		b, err := Open(saved(t, small, files), Options{ShapesOnly: true})
		if err != nil || b.ChatTemplate != "{{ 1 }}" {
			t.Errorf("%s: %v, %+v", name, err, b)
		}
	}
}

// TestOpening: a prompt that spells a token without a row is an error that names it.
func TestOpening(t *testing.T) {
	more := make([]string, small.Vocab-256+1)
	for i := range more {
		more[i] = fmt.Sprintf("<%d>", i)
	}
	b, err := Open(saved(t, small, map[string]string{"tokenizer.json": byteLevel(t, "", more...)}), Options{ShapesOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := b.Opening("a<0>"); err != nil || len(ids) != 2 {
		t.Errorf("%v, %v", ids, err)
	}
	last := more[len(more)-1]
	if _, err := b.Opening("a" + last); fault.Of(err) != fault.Input || !strings.Contains(err.Error(), last) {
		t.Errorf("a token without a row: %v", err)
	}
}

package cmd

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Malformed files of every kind that a model directory may hold end in exit code 3
// and one line that names the file and what is wrong. The packages' own tables go
// further: here is what a user sees.
func TestMalformedModelDirectories(t *testing.T) {
	tmp := t.TempDir()
	mustRun(t, small(filepath.Join(tmp, "run"), "train.steps=3", "train.sample=0", "prune.target=")...)
	base := filepath.Join(tmp, "base")
	if err := os.CopyFS(base, os.DirFS(filepath.Join(tmp, "run", "state", "newest"))); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(base, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	weights, config := read("model.safetensors"), read("config.json")
	split := 8 + int(binary.LittleEndian.Uint64(weights))
	var header map[string]map[string]any
	if err := json.Unmarshal(weights[8:split], &header); err != nil {
		t.Fatal(err)
	}
	file := func(header string, data []byte) []byte {
		return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), data...)
	}
	// with is the weights with a change of one tensor's entry.
	const norm = "model.norm.weight"
	with := func(key string, value any) []byte {
		t.Helper()
		was := header[norm][key]
		header[norm][key] = value
		text, err := json.Marshal(header)
		header[norm][key] = was
		if err != nil {
			t.Fatal(err)
		}
		return file(string(text), weights[split:])
	}
	offsets := header[norm]["data_offsets"].([]any)
	lo, hi := offsets[0].(float64), offsets[1].(float64)
	one := `"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
	nan := bytes.Clone(weights)
	copy(nan[split+int(lo):], []byte{0, 0, 0xc0, 0x7f})
	replaced := func(text []byte, from, to string) []byte {
		t.Helper()
		out := bytes.Replace(text, []byte(from), []byte(to), 1)
		if bytes.Equal(out, text) {
			t.Fatalf("no %s", from)
		}
		return out
	}
	index := func(file string) []byte { return []byte(`{"weight_map":{"` + norm + `":"` + file + `"}}`) }
	outside := filepath.Join(tmp, "outside")
	type files = map[string][]byte // nil removes a file
	for _, c := range []struct {
		name  string
		files files
		link  string // a file that becomes a link out of the directory
		want  []string
	}{
		{"no weights", files{"model.safetensors": nil}, "", []string{"neither model.safetensors nor"}},
		{"a pickle", files{"model.safetensors": nil, "pytorch_model.bin": {0x80}}, "", []string{"pytorch_model.bin", "runs code"}},
		{"no header", files{"model.safetensors": []byte("abc")}, "", []string{"model.safetensors", "3 bytes"}},
		{"a header bomb", files{"model.safetensors": append(binary.LittleEndian.AppendUint64(nil, 1<<40), "{}"...)}, "", []string{"model.safetensors", "a header of 1099511627776 bytes"}},
		{"a shape bomb", files{"model.safetensors": file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}`, make([]byte, 4))}, "", []string{"model.safetensors", `"a"`, "2^63"}},
		{"a nested header", files{"model.safetensors": file(strings.Repeat(`{"a":`, 5000), nil)}, "", []string{"model.safetensors", "unknown key"}},
		{"a name twice", files{"model.safetensors": file("{"+one+","+one+"}", make([]byte, 4))}, "", []string{"model.safetensors", `"a" appears twice`}},
		{"overlap", files{"model.safetensors": with("data_offsets", []float64{lo - 4, hi - 4})}, "", []string{"model.safetensors", "overlap"}},
		{"out of range", files{"model.safetensors": with("data_offsets", []float64{lo + 1e12, hi + 1e12})}, "", []string{"model.safetensors", norm}},
		{"a type that there is not", files{"model.safetensors": with("dtype", "Q4")}, "", []string{"model.safetensors", norm, `"Q4"`}},
		{"integers", files{"model.safetensors": with("dtype", "I32")}, "", []string{norm, "I32", "expected F32, F16 or BF16"}},
		{"a type of another width", files{"model.safetensors": with("dtype", "F16")}, "", []string{"model.safetensors", norm, "F16"}},
		{"another shape", files{"model.safetensors": with("shape", []int{1, 32})}, "", []string{norm, "[1 32]", "expected [32]"}},
		{"not finite", files{"model.safetensors": nan}, "", []string{"model.safetensors", norm, "NaN"}},
		{"cut short", files{"model.safetensors": weights[:len(weights)-4]}, "", []string{"model.safetensors", "was it copied whole?"}},
		{"more behind", files{"model.safetensors": append(bytes.Clone(weights), 0)}, "", []string{"model.safetensors", "1 bytes of data belong to no tensor"}},
		{"a missing and a strange tensor", files{"model.safetensors": replaced(weights, norm, "model.norm.weighs")}, "", []string{"missing " + norm, `unexpected "model.norm.weighs"`}},
		{"a link out", nil, "model.safetensors", []string{"model.safetensors", "escapes"}},

		{"an index without map", files{"model.safetensors": nil, "model.safetensors.index.json": []byte(`{"metadata":{}}`)}, "", []string{"index.json", "no weight_map"}},
		{"an index to above", files{"model.safetensors": nil, "model.safetensors.index.json": index("../base/model.safetensors")}, "", []string{"index.json", "same directory"}},
		{"an index to the root", files{"model.safetensors": nil, "model.safetensors.index.json": index("/etc/passwd")}, "", []string{"index.json", "same directory"}},
		{"an index to nothing", files{"model.safetensors": nil, "model.safetensors.index.json": index("x.safetensors")}, "", []string{"x.safetensors", "which model.safetensors.index.json names"}},
		{"an index that is wrong", files{"model.safetensors": nil, "x.safetensors": file("{"+one+"}", make([]byte, 4)), "model.safetensors.index.json": index("x.safetensors")}, "", []string{norm, "x.safetensors", "does not hold it"}},
		{"an index twice", files{"model.safetensors": nil, "model.safetensors.index.json": []byte(`{"weight_map":{"a":"b.safetensors","a":"c.safetensors"}}`)}, "", []string{"index.json", `"a" appears twice`}},
		{"a linked index", files{"model.safetensors": nil}, "model.safetensors.index.json", []string{"index.json", "escapes"}},

		{"no config", files{"config.json": nil}, "", []string{"config.json"}},
		{"a config that is no JSON", files{"config.json": []byte("{")}, "", []string{"config.json", "JSON"}},
		{"another family", files{"config.json": replaced(config, `"llama"`, `"mamba"`)}, "", []string{"config.json", "mamba"}},
		{"a field that is not heeded", files{"config.json": replaced(config, `"model_type"`, `"sliding_window": 7, "model_type"`)}, "", []string{"config.json", "sliding_window"}},
		{"a wrong type", files{"config.json": replaced(config, `"hidden_size": 32`, `"hidden_size": "32"`)}, "", []string{"config.json", "hidden_size"}},
		{"sizes out of this world", files{"config.json": replaced(config, `"vocab_size": 300`, `"vocab_size": 1099511627776`)}, "", []string{"case", "embed[vocab 1099511627776, embed 32]"}},
		{"an activation", files{"config.json": replaced(config, `"silu"`, `"relu"`)}, "", []string{"config.json", "hidden_act", "relu"}},
		{"a linked config", nil, "config.json", []string{"config.json", "escapes"}},

		{"a tokenizer that is no JSON", files{"tokenizer.json": []byte(`{"model":`)}, "", []string{"tokenizer.json"}},
		{"another model of words", files{"tokenizer.json": []byte(`{"model":{"type":"WordPiece","vocab":{}}}`)}, "", []string{"tokenizer.json", "WordPiece"}},
		{"an id twice", files{"tokenizer.json": []byte(`{"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}}`)}, "", []string{"tokenizer.json", "which another token has"}},
		{"an id bomb", files{"tokenizer.json": []byte(`{"model":{"type":"BPE","vocab":{"a":2147483647},"merges":[]}}`)}, "", []string{"tokenizer.json", "2147483647"}},
		{"a merge of nothing", files{"tokenizer.json": []byte(`{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`)}, "", []string{"tokenizer.json", "merge 0"}},
		{"more ids than the model", files{"tokenizer.json": []byte(`{"model":{"type":"BPE","vocab":{"a":300},"merges":[]}}`)}, "", []string{"301 ids", "300"}},
		{"a linked tokenizer", nil, "tokenizer.json", []string{"tokenizer.json", "escapes"}},
		{"settings of a tokenizer", files{"tokenizer_config.json": []byte(`{"tokenizer_class":"LlamaTokenizer","add_bos_token":true}`)}, "", []string{"tokenizer_config.json", "bos_token"}},
		{"vocab.json without merges", files{"tokenizer.json": nil, "vocab.json": []byte(`{"a":0}`)}, "", []string{"merges.txt"}},
		{"merges.txt", files{"tokenizer.json": nil, "vocab.json": []byte(`{"a":0}`), "merges.txt": []byte("a b c\n")}, "", []string{"merges.txt", "line 1"}},
		{"tokenizer.model", files{"tokenizer.json": nil, "tokenizer.model": []byte("\xff\xff\xff\xff")}, "", []string{"tokenizer.model", "SentencePiece"}},
		{"an empty tokenizer.model", files{"tokenizer.json": nil, "tokenizer.model": {}}, "", []string{"tokenizer.model", "no pieces"}},
		{"a length bomb in tokenizer.model", files{"tokenizer.json": nil, "tokenizer.model": {0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f, 1}}, "", []string{"tokenizer.model", "SentencePiece"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(tmp, "case")
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
				t.Fatal(err)
			}
			for name, text := range c.files {
				path := filepath.Join(dir, name)
				err := os.WriteFile(path, text, 0o644)
				if text == nil {
					err = os.Remove(path)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if c.link != "" {
				path := filepath.Join(dir, c.link)
				os.Remove(path)
				if err := os.WriteFile(outside, []byte("{}"), 0o644); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(outside, path); err != nil {
					t.Skip("SKIPPED: the system makes no links: ", err)
				}
			}
			code, out, log := runCommand(t, t.Context(), "ecospa", "generate", "--model", dir, "--prompt", "a", "--tokens", "1")
			if code != exitBadInput || out != "" || !strings.HasPrefix(log, "ecospa: ") || strings.Count(log, "\n") != 1 || len(log) > 1000 {
				t.Errorf("exit code %d, %q, %q; expected %d and one line", code, out, log, exitBadInput)
			}
			for _, w := range c.want {
				if !strings.Contains(log, w) {
					t.Errorf("the message does not name %q: %s", w, log)
				}
			}
		})
	}
}

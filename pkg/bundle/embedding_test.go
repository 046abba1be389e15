package bundle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEmbedding: how vectors are made stands in the files of sentence-transformers, and
// what is not supported is refused by name.
func TestEmbedding(t *testing.T) {
	const dir = "../../testdata/minilm"
	names := []string{"config.json", "model.safetensors", "tokenizer.json", modulesFile, sentenceFile, "1_Pooling/config.json"}
	for _, c := range []struct {
		name, file, text string // a file in another form; "" takes it away
		want             Embedding
		err              string
	}{
		{"as shipped", "extra", "", Embedding{Pooling: "mean", Normalize: true, MaxTokens: 12}, ""},
		{"no modules", modulesFile, "", Embedding{MaxTokens: 12}, ""},
		{"no limit", sentenceFile, "", Embedding{Pooling: "mean", Normalize: true, MaxTokens: 16}, ""},
		{"lower case", sentenceFile, `{"max_seq_length": 99, "do_lower_case": true}`, Embedding{Pooling: "mean", Normalize: true, MaxTokens: 16, LowerCase: true}, ""},
		{"first token", "1_Pooling/config.json", `{"pooling_mode_cls_token": true}`, Embedding{Pooling: "cls", Normalize: true, MaxTokens: 12}, ""},
		{"pooling missing", "1_Pooling/config.json", "", Embedding{}, "1_Pooling/config.json is missing"},
		{"maximum", "1_Pooling/config.json", `{"pooling_mode_max_tokens": true}`, Embedding{}, "expected mean or cls"},
		{"two", "1_Pooling/config.json", `{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}`, Embedding{}, "expected mean or cls"},
		{"another step", modulesFile, `[{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]`, Embedding{}, "models.Dense"},
		{"outside", modulesFile, `[{"path": "../../..", "type": "x.Pooling"}]`, Embedding{}, "escapes"},
		{"prompt", promptsFile, `{"default_prompt_name": "query"}`, Embedding{}, "prompts are not supported"},
		{"no length", sentenceFile, `{"max_seq_length": 0}`, Embedding{}, "max_seq_length is 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := t.TempDir()
			for _, n := range append(names, promptsFile) {
				text, err := os.ReadFile(filepath.Join(dir, n))
				if n == c.file {
					text = []byte(c.text)
				} else if err != nil {
					continue
				}
				if len(text) == 0 {
					continue
				}
				if err := os.MkdirAll(filepath.Dir(filepath.Join(to, n)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(to, n), text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			b, err := Open(to, Options{})
			var got Embedding
			if err == nil {
				defer b.Close()
				got, err = b.Embedding()
			}
			switch {
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("got %v, expected %q", err, c.err)
			case c.err == "" && (err != nil || got != c.want):
				t.Errorf("got %+v, %v, expected %+v", got, err, c.want)
			}
		})
	}
}

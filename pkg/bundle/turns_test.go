package bundle

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// TestEndTurns: what ends a turn becomes an end of the model, and is one of what is saved.
func TestEndTurns(t *testing.T) {
	for name, c := range map[string]struct {
		added      []string
		template   string // named
		generation string
		ends       []int32
		note       string
	}{
		"ChatML, its token is there":         {[]string{"<|endoftext|>", "<|im_end|>"}, "", "", []int32{256, 257}, ""},
		"in a file with other settings":      {[]string{"<|endoftext|>", "<|im_end|>"}, "", `{"top_k":5,"eos_token_id":256,"odd":[1]}`, []int32{256, 257}, ""},
		"ChatML, its token is not there":     {[]string{"<|endoftext|>"}, "", "", []int32{256}, "no token for what ends a turn"},
		"Zephyr's turns end in the model's":  {[]string{"<|endoftext|>", "<|im_end|>"}, "zephyr", "", []int32{256}, ""},
		"a model whose ends have it already": {[]string{"<|endoftext|>", "<|im_end|>"}, "", `{"eos_token_id":[257,256]}`, []int32{257, 256}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := saved(t, small, map[string]string{"tokenizer.json": byteLevel(t, "", c.added...)})
			if c.generation != "" {
				put(t, dir, generationFile, c.generation)
			}
			b, err := Open(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			between := tokenizer.DocumentEnd(b.Tokenizer)
			tmpl, err := b.SetChat(c.template)
			if err != nil {
				t.Fatal(err)
			}
			note, err := b.EndTurns(tmpl)
			if err != nil || (c.note == "") != (note == "") || !strings.Contains(note, c.note) || !slices.Equal(b.Ends, c.ends) || tokenizer.DocumentEnd(b.Tokenizer) != between {
				t.Errorf("ends %v, note %q, %v", b.Ends, note, err)
			}
			out := filepath.Join(t.TempDir(), "out")
			if err := b.Save(out, SaveOptions{}); err != nil {
				t.Fatal(err)
			}
			back, err := Open(out, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer back.Close()
			if !slices.Equal(back.Ends, c.ends) {
				t.Errorf("read back: ends %v, expected %v", back.Ends, c.ends)
			}
			if c.generation != "" {
				var was, is map[string]any
				if json.Unmarshal([]byte(c.generation), &was) != nil || json.Unmarshal(back.extra(generationFile), &is) != nil || is["top_k"] != was["top_k"] {
					t.Errorf("%s, was %s", back.extra(generationFile), c.generation)
				}
			}
		})
	}
}

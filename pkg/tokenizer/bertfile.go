package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"
)

// bertClasses are transformers' tokenizers that a vocab.txt and three settings describe.
var bertClasses = []string{"", "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MPNetTokenizer"}

// convertBERT makes a tokenizer.json of BERT's vocab.txt, a token a line. Of a
// tokenizer_config.json beside it do_lower_case, strip_accents and tokenize_chinese_chars
// count, with the defaults of transformers' BertTokenizer.
func convertBERT(dir fs.FS, vocabulary []byte) (*file, tokenIDs, error) {
	s := struct {
		Class   string `json:"tokenizer_class"`
		Lower   bool   `json:"do_lower_case"`
		Chinese bool   `json:"tokenize_chinese_chars"`
		Strip   *bool  `json:"strip_accents"`
	}{Lower: true, Chinese: true}
	if err := readJSON(dir, settingsName, &s); err != nil {
		return nil, nil, err
	}
	if class := strings.TrimSuffix(s.Class, "Fast"); !slices.Contains(bertClasses, class) {
		return nil, nil, fmt.Errorf("%s: tokenizer_class is %.40q, which a vocab.txt does not describe: expected BertTokenizer, or a tokenizer.json", settingsName, s.Class)
	}
	v := tokenIDs{}
	for i, line := range strings.Split(strings.TrimSuffix(string(vocabulary), "\n"), "\n") {
		token := strings.TrimSuffix(line, "\r")
		if !utf8.ValidString(token) {
			return nil, nil, fmt.Errorf("line %d is not UTF-8", i+1)
		}
		if token != "" {
			v[token] = int32(i)
		}
	}
	if _, ok := v["[UNK]"]; !ok {
		return nil, nil, errors.New("has no line [UNK]")
	}
	f := &file{
		Version: "1.0", Truncation: null, Padding: null, PostProcessor: null,
		Normalizer:   rawJSON(map[string]any{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": s.Chinese, "strip_accents": s.Strip, "lowercase": s.Lower}),
		PreTokenizer: []byte(`{"type":"BertPreTokenizer"}`), Decoder: []byte(`{"type":"WordPiece","prefix":"##","cleanup":true}`),
		Model: rawJSON(fileWordPiece{Type: "WordPiece", Unk: "[UNK]", Vocab: v}),
	}
	for _, t := range []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"} {
		if id, ok := v[t]; ok {
			f.AddedTokens = append(f.AddedTokens, addedToken{ID: id, Content: t, Special: true})
		}
	}
	cls, ok := v["[CLS]"]
	sep, both := v["[SEP]"]
	if !ok || !both {
		return f, v, nil
	}
	var err error
	f.PostProcessor, err = template([]named{{"[CLS]", cls}}, []named{{"[SEP]", sep}})
	return f, v, err
}

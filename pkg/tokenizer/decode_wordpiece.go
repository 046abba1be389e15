package tokenizer

import (
	"bytes"
	"encoding/json"
	"strings"
)

// cleanups are what a WordPiece decoder with cleanup writes otherwise within a token.
var cleanups = strings.NewReplacer(" .", ".", " ?", "?", " !", "!", " ,", ",", " ' ", "'", " n't", "n't", " 'm", "'m", " do not", " don't", " 's", "'s", " 've", "'ve", " 're", "'re")

// decWordPiece puts a space in front of tokens that begin a word.
func decWordPiece(ps *parser, raw json.RawMessage) (decoder, error) {
	p := struct {
		Type    string
		Prefix  string
		Cleanup bool
	}{Prefix: "##", Cleanup: true}
	if err := ps.read(raw, &p); err != nil {
		return decoder{}, err
	}
	clean := func(s string) []byte {
		if p.Cleanup {
			s = cleanups.Replace(s)
		}
		return []byte(s)
	}
	within := func(token []byte) []byte {
		if b, ok := bytes.CutPrefix(token, []byte(p.Prefix)); ok {
			return clean(string(b))
		}
		return clean(" " + string(token))
	}
	d := one(within)
	d.front, d.times = []byte{' '}, 1
	d.first = func(token string) ([]byte, bool) {
		piece := within([]byte(token))
		text := clean(token)
		return text, !bytes.Equal(bytes.TrimPrefix(piece, d.front), text)
	}
	return d, nil
}

package tokenizer

// gpt2Pattern is the rule of GPT-2 (its encoder.py), and of ByteLevel with use_regex.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

func init() {
	scanners[gpt2Pattern] = scanGPT2
	scanners[`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`] = scanGPT2
}

// scanGPT2 is the length of the first pre-token of text by gpt2Pattern. text is
// not empty. Bytes that are not UTF-8 count as punctuation.
func scanGPT2(text []byte) int {
	if n := contraction(text); n > 0 {
		return n
	}
	i := 0
	if text[0] == ' ' && len(text) > 1 {
		i = 1
	}
	if c, _ := class(text[i:]); c != space {
		return i + span(text[i:], c)
	}
	return blanks(text, span(text, space))
}

// contraction is the length of a leading 's, 't, 're, 've, 'm, 'll or 'd, or 0.
func contraction(text []byte) int {
	if text[0] != '\'' || len(text) < 2 {
		return 0
	}
	switch text[1] {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(text) >= 3 {
		switch string(text[1:3]) {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

package tokenizer

func init() {
	scanners[llama3Pattern] = scanLlama3
	scanners[qwen2Pattern] = scanQwen
}

// scanLlama3 is the length of the first pre-token of text by the pattern of
// OpenAI's cl100k and Llama 3: digits in threes, any one character that is no
// digit or line end before a word, line ends with the punctuation before them.
func scanLlama3(text []byte) int { return scanCL100K(text, 3) }

// scanQwen is the same with single digits, as Qwen 2 has it.
func scanQwen(text []byte) int { return scanCL100K(text, 1) }

func scanCL100K(text []byte, digits int) int {
	if n := anyCaseContraction(text); n > 0 {
		return n
	}
	c, w := class(text)
	switch {
	case c == letter:
		return span(text, letter)
	case c == number:
		n := w
		for i := 1; i < digits && n < len(text); i++ {
			c, w := class(text[n:])
			if c != number {
				break
			}
			n += w
		}
		return n
	}
	if w < len(text) && text[0] != '\r' && text[0] != '\n' {
		if next, _ := class(text[w:]); next == letter {
			return w + span(text[w:], letter)
		} else if next == other && text[0] == ' ' {
			return punctuation(text, 1)
		}
	}
	if c == other {
		return punctuation(text, 0)
	}
	n := span(text, space)
	for i := n - 1; i >= 0; i-- {
		if text[i] == '\r' || text[i] == '\n' {
			return i + 1
		}
	}
	return blanks(text, n)
}

// punctuation is the end of a run of punctuation from i on, with the line ends behind it.
func punctuation(text []byte, i int) int {
	i += span(text[i:], other)
	for i < len(text) && (text[i] == '\r' || text[i] == '\n') {
		i++
	}
	return i
}

// anyCaseContraction is contraction in either case. The long s, U+017F, is an s
// in another case.
func anyCaseContraction(text []byte) int {
	if text[0] != '\'' || len(text) < 2 {
		return 0
	}
	switch text[1] | 0x20 {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(text) < 3 {
		return 0
	}
	if text[1] == 0xc5 && text[2] == 0xbf {
		return 3
	}
	switch string([]byte{text[1] | 0x20, text[2] | 0x20}) {
	case "re", "ve", "ll":
		return 3
	}
	return 0
}

package tokenizer

// Chunks encodes a text a part at a time, with the ids that it has as a whole.
type Chunks struct {
	t     Tokenizer
	p     *Pipeline // nil: bytes, which can be cut anywhere
	begun bool
}

// NewChunks is for a text whose parts end where Cut says; ok is false for a tokenizer
// whose texts cannot be cut.
func NewChunks(t Tokenizer) (c *Chunks, ok bool) {
	if e, wrapped := t.(ending); wrapped {
		t = e.Tokenizer
	}
	switch t := t.(type) {
	case Bytes:
		return &Chunks{t: t}, true
	case *Pipeline:
		return &Chunks{t: t, p: t}, t.cuttable()
	}
	return nil, false
}

// Cut is where text can be cut, as late as there is a place; 0 where there is none.
func (c *Chunks) Cut(text []byte) int {
	if c.p == nil {
		return len(text)
	}
	for at := len(text) - 2; at > 0; at-- {
		if text[at] == ' ' && isASCIILetter(text[at-1]) && isASCIILetter(text[at+1]) {
			return at
		}
	}
	return 0
}

// Next is a function that encodes the next part of the text, which may run while others
// are encoded.
func (c *Chunks) Next(part []byte) func() []int32 {
	at := continued
	if !c.begun {
		at, c.begun = beginning, true
	}
	return func() []int32 {
		if c.p == nil {
			return c.t.Encode(nil, part)
		}
		return c.p.encode(make([]int32, 0, len(part)/3), part, at)
	}
}

package tokenizer

// ending is a tokenizer whose model says what ends a text.
type ending struct {
	Tokenizer
	eos     int32
	between int32
}

// WithEnds gives a tokenizer the ends that a model's files name: eos ends a generated
// text, between stands behind each of several documents; -1 is none.
func WithEnds(t Tokenizer, eos, between int32) Tokenizer {
	if e, ok := t.(ending); ok {
		t = e.Tokenizer
	}
	return ending{t, eos, between}
}

// NamedEnd is the end of a text that the tokenizer knows by its name, whatever WithEnds was
// told, or -1.
func NamedEnd(t Tokenizer) int32 {
	if e, ok := t.(ending); ok {
		return e.Tokenizer.EOS()
	}
	return t.EOS()
}

// EOS implements Tokenizer.
func (e ending) EOS() int32 { return e.eos }

// EncodeParallel is Encode with up to threads goroutines, where the tokenizer can.
func (e ending) EncodeParallel(dst []int32, text []byte, threads int) []int32 {
	if p, ok := e.Tokenizer.(interface {
		EncodeParallel(dst []int32, text []byte, threads int) []int32
	}); ok {
		return p.EncodeParallel(dst, text, threads)
	}
	return e.Encode(dst, text)
}

// DocumentEnd is the id that stands behind each of several documents, or -1: what
// WithEnds was told, otherwise the end of a text for a tokenizer whose template puts
// nothing around a text (GPT-2), and none where the template marks beginnings or ends
// itself (Llama).
func DocumentEnd(t Tokenizer) int32 {
	if e, ok := t.(ending); ok {
		return e.between
	}
	if front, back := t.Template(); len(front)+len(back) > 0 {
		return -1
	}
	return t.EOS()
}

package data

import (
	"runtime"
	"slices"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// Encode encodes the documents one after the other, within the tokenizer's template.
// Where there are several, every document ends with the tokenizer's DocumentEnd. A prompt
// and its document are encoded as one text, of which the tokens that the prompt has by
// itself are not predicted, and neither is what the template puts in front.
//
// With PackDocuments the tokens say where documents begin: at what the template puts in
// front; without that at the end of the document before (GPT-2 sees its end of a text in
// front of every other document), which then is predicted as the last of the one and
// read as the first of the other. Ids that were read begin a document at each end of one.
// They are checked: one outside the vocabulary is an ErrFormat.
//
// Chats are rendered by Part.Template, which writes all that stands around the messages:
// each is a document, of which the assistant's turns with their ends are predicted.
func Encode(t tokenizer.Tokenizer, p Part) (Encoded, error) {
	if p.Shards != nil {
		return p.encoded(t)
	}
	return encodeTexts(t, p)
}

// encodeTexts is Encode of documents.
func encodeTexts(t tokenizer.Tokenizer, p Part) (Tokens, error) {
	end := tokenizer.DocumentEnd(t)
	if p.chats {
		return p.encodeChats(t)
	}
	e := encoder{t: t, end: end, separate: p.Pack == PackDocuments}
	e.front, e.back = t.Template()
	if len(p.Documents) < 2 || slices.Contains(e.back, end) {
		e.end = -1
	}
	for i, d := range p.Documents {
		var prompt []byte
		if p.Prompts != nil {
			prompt = p.Prompts[i]
		}
		e.add(prompt, d)
	}
	return e.ids, nil
}

// encoder appends documents.
type encoder struct {
	t           tokenizer.Tokenizer
	front, back []int32
	end         int32 // after each document; -1 for none
	separate    bool
	ids         Tokens
}

// add appends a document and marks what of it is not predicted, and its beginning.
func (e *encoder) add(prompt, document []byte) {
	at := len(e.ids)
	given := e.append(prompt, document)
	for i := at; i < at+given; i++ {
		e.ids[i] = ^e.ids[i]
	}
	if e.end >= 0 {
		e.ids = append(e.ids, e.end)
	}
	if !e.separate || at == len(e.ids) {
		return
	}
	switch {
	case len(e.front) > 0:
	case at > 0 && (len(e.back) > 0 || e.end >= 0): // at the end of the document before
		at--
	case at > 0 && e.ids[at] >= 0: // nothing leads to the first token
		e.ids[at] = ^e.ids[at]
	}
	e.ids[at] ^= begins
}

// append appends the ids of a document within the template, and returns how many of them
// are in front of what is predicted: the template's and the prompt's.
func (e *encoder) append(prompt, document []byte) (given int) {
	e.ids = append(e.ids, e.front...)
	text := len(e.ids)
	if len(prompt) > 0 {
		own := e.t.Encode(nil, prompt)
		e.ids = encode(e.ids, e.t, append(slices.Clip(prompt), document...))
		for joint := e.ids[text:]; given < min(len(own), len(joint)-1) && own[given] == joint[given]; {
			given++
		}
	} else {
		e.ids = encode(e.ids, e.t, document)
	}
	e.ids = append(e.ids, e.back...)
	return len(e.front) + given
}

// encode encodes a document, with every core where the tokenizer can.
func encode(dst []int32, t tokenizer.Tokenizer, d []byte) []int32 {
	if p, ok := t.(interface {
		EncodeParallel(dst []int32, text []byte, threads int) []int32
	}); ok {
		return p.EncodeParallel(dst, d, runtime.GOMAXPROCS(0))
	}
	return t.Encode(dst, d)
}

package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// decoder turns tokens into the bytes that they stand for. A token stands for
// the same bytes everywhere in a text, but for what is stripped at its beginning.
type decoder struct {
	each  []func(token []byte) []byte
	front []byte // stripped from the beginning of a text
	times int    // so often at most
	// first is what a token stands for at the beginning of a text where that is
	// not its piece with front stripped.
	first func(token string) (text []byte, other bool)
	fused bool // tokens are joined: what follows sees the whole text
}

// piece is the bytes that a token of the vocabulary stands for.
func (d decoder) piece(token string) []byte {
	b := []byte(token)
	for _, f := range d.each {
		b = f(b)
	}
	return b
}

// strip is the length of what is stripped from the beginning of a text.
func (d decoder) strip(text []byte) int {
	n := 0
	for range d.times {
		if !bytes.HasPrefix(text[n:], d.front) {
			break
		}
		n += len(d.front)
	}
	return n
}

// add lets the parts of a decoder follow one another.
func (d *decoder) add(next decoder) error {
	if d.first != nil || next.first != nil && len(d.each) > 0 {
		return fmt.Errorf("a WordPiece decoder in a Sequence, which is supported as the only one")
	}
	if d.times > 0 && (next.times > 0 || len(next.each) > 0) || d.fused && len(next.each) > 0 {
		return fmt.Errorf("an order of decoders that is not supported")
	}
	d.each, d.first = append(d.each, next.each...), next.first
	if next.times > 0 {
		d.front, d.times = next.front, next.times
	}
	d.fused = d.fused || next.fused
	return nil
}

// decoders make the decoder of each type.
var decoders map[string]func(ps *parser, raw json.RawMessage) (decoder, error)

func init() {
	decoders = map[string]func(*parser, json.RawMessage) (decoder, error){
		"Sequence": decSequence, "ByteLevel": decByteLevel, "ByteFallback": decByteFallback, "Fuse": decFuse,
		"Replace": decReplace, "Strip": decStrip, "Metaspace": decMetaspace, "WordPiece": decWordPiece,
	}
}

// parseDecoder reads the decoder of a file. Without one, tokens are joined with spaces.
func (ps *parser) parseDecoder(raw json.RawMessage) (decoder, error) {
	if isNull(raw) {
		front := func(b []byte) []byte { return append([]byte{' '}, b...) }
		return decoder{each: []func([]byte) []byte{front}, front: []byte{' '}, times: 1}, nil
	}
	return component(ps, "decoder", raw, decoders)
}

func decSequence(ps *parser, raw json.RawMessage) (decoder, error) {
	var p struct {
		Type     string
		Decoders []json.RawMessage
	}
	var all decoder
	if err := ps.read(raw, &p); err != nil {
		return all, err
	}
	for i, raw := range p.Decoders {
		d, err := component(ps, "decoders", raw, decoders)
		if err == nil {
			err = all.add(d)
		}
		if err != nil {
			return all, fmt.Errorf("%d of a Sequence: %w", i, err)
		}
	}
	return all, nil
}

func decByteLevel(ps *parser, raw json.RawMessage) (decoder, error) {
	if _, err := preByteLevel(ps, raw); err != nil { // the same fields, which mean nothing here
		return decoder{}, err
	}
	return one(func(token []byte) []byte {
		if b, ok := unspell(string(token)); ok {
			return b
		}
		return token
	}), nil
}

func one(f func([]byte) []byte) decoder { return decoder{each: []func([]byte) []byte{f}} }

func decByteFallback(ps *parser, raw json.RawMessage) (decoder, error) {
	err := ps.plain(raw)
	return one(func(token []byte) []byte {
		if b, ok := fallbackByte(string(token)); ok {
			return []byte{b}
		}
		return token
	}), err
}

// fallbackByte is the byte that a token like <0x0A> stands for.
func fallbackByte(token string) (byte, bool) {
	if len(token) != 6 || token[:3] != "<0x" || token[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(b), err == nil
}

func decFuse(ps *parser, raw json.RawMessage) (decoder, error) {
	return decoder{fused: true}, ps.plain(raw)
}

func decReplace(ps *parser, raw json.RawMessage) (decoder, error) {
	r, err := parseReplace(ps, raw)
	return one(func(token []byte) []byte { return r.apply(token, within) }), err
}

func decStrip(ps *parser, raw json.RawMessage) (decoder, error) {
	var p struct {
		Type, Content string
		Start, Stop   int
	}
	if err := ps.read(raw, &p); err != nil {
		return decoder{}, err
	}
	if p.Stop != 0 || p.Content == "" || p.Start < 0 {
		return decoder{}, fmt.Errorf("strip with content %q, start %d and stop %d, expected a character, 0 or more and 0", p.Content, p.Start, p.Stop)
	}
	return decoder{front: []byte(p.Content), times: p.Start}, nil
}

func decMetaspace(ps *parser, raw json.RawMessage) (decoder, error) {
	m, err := parseMetaspace(ps, raw)
	if err != nil {
		return decoder{}, err
	}
	d := one(func(token []byte) []byte { return bytes.ReplaceAll(token, []byte(m.Replacement), []byte{' '}) })
	if m.PrependScheme != "never" {
		d.front, d.times = []byte{' '}, 1
	}
	return d, nil
}

package tokenizer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// precompiled is SentencePiece's table of characters to rewrite, as Hugging Face's
// spm_precompiled reads it: a grapheme of up to five bytes is looked up as a whole,
// the characters of others one by one, and the shortest entry that begins it counts.
type precompiled struct {
	units []uint32 // a double-array trie (Darts)
	texts []byte   // ended by zeros
}

func normPrecompiled(ps *parser, raw json.RawMessage) ([]normalizer, error) {
	var p struct {
		Type string
		Map  []byte `json:"precompiled_charsmap"`
	}
	if err := ps.read(raw, &p); err != nil {
		return nil, err
	}
	if len(p.Map) == 0 {
		return nil, nil
	}
	c, err := newPrecompiled(p.Map)
	return []normalizer{c}, err
}

func newPrecompiled(b []byte) (*precompiled, error) {
	if len(b) < 4 {
		return nil, errors.New("precompiled_charsmap is too short")
	}
	n := int(binary.LittleEndian.Uint32(b))
	if b = b[4:]; n > len(b) || n%4 != 0 {
		return nil, fmt.Errorf("precompiled_charsmap: a trie of %d bytes in %d", n, len(b))
	}
	c := &precompiled{units: make([]uint32, n/4), texts: b[n:]}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return c, nil
}

// rewritten is what a text is rewritten to, nil where it stays.
func (c *precompiled) rewritten(text []byte) []byte {
	at := uint32(0)
	unit := func() (uint32, bool) {
		if int(at) >= len(c.units) {
			return 0, false
		}
		return c.units[at], true
	}
	offset := func(u uint32) uint32 { return (u >> 10) << ((u & (1 << 9)) >> 6) }
	u, ok := unit()
	at ^= offset(u)
	for _, b := range text {
		if at ^= uint32(b); b == 0 || !ok {
			return nil
		}
		if u, ok = unit(); !ok || u&(1<<31|0xff) != uint32(b) {
			return nil
		}
		at ^= offset(u)
		if u&(1<<8) == 0 {
			continue
		}
		leaf, ok := unit()
		from := int(leaf & (1<<31 - 1))
		if !ok || from > len(c.texts) {
			return nil
		}
		out, _, _ := bytes.Cut(c.texts[from:], []byte{0})
		if out == nil {
			out = []byte{}
		}
		return out
	}
	return nil
}

func (c *precompiled) apply(text []byte, _ place) []byte {
	out := make([]byte, 0, len(text)+8)
	state := -1
	for len(text) > 0 {
		var cluster []byte
		cluster, text, _, state = uniseg.FirstGraphemeCluster(text, state)
		if len(cluster) < 6 {
			if by := c.rewritten(cluster); by != nil {
				out = append(out, by...)
				continue
			}
		}
		for len(cluster) > 0 {
			_, w := utf8.DecodeRune(cluster)
			if by := c.rewritten(cluster[:w]); by != nil {
				out = append(out, by...)
			} else {
				out = append(out, cluster[:w]...)
			}
			cluster = cluster[w:]
		}
	}
	return out
}

func (*precompiled) cuttable() bool { return true }

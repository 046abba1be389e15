package data

import (
	"reflect"
	"testing"
)

// TestLimit: documents that are too long are split, truncated or dropped, after their prompt has
// lost its beginning; the others stay to the bit.
func TestLimit(t *testing.T) {
	const b = begins
	chats := Tokens{^(1 | b), ^2, 3, ^(4 | b), ^5, ^6, ^7, 8, 9, 10, 11, ^(12 | b), 13} // reads 2, 7 and 1
	ended := Tokens{1 | b, 2, 3, 4, 5, 300 | b, 6, 300 | b, 7}                          // GPT-2: an end begins the next document; reads 5, 2, 1
	for name, c := range map[string]struct {
		in       Tokens
		most     int
		overflow string
		want     Tokens
		limited  Limited
	}{
		"nothing to do":       {chats, 7, Drop, chats, Limited{}},
		"drop":                {chats, 4, Drop, Tokens{^(1 | b), ^2, 3, ^(12 | b), 13}, Limited{1, 8}},
		"the prompt suffices": {chats, 5, Truncate, Tokens{^(1 | b), ^2, 3, ^(6 | b), ^7, 8, 9, 10, 11, ^(12 | b), 13}, Limited{1, 2}},
		"truncate":            {chats, 3, Truncate, Tokens{^(1 | b), ^2, 3, ^(7 | b), 8, 9, 10, ^(12 | b), 13}, Limited{1, 4}},
		"split":               {chats, 3, Split, Tokens{^(1 | b), ^2, 3, ^(7 | b), 8, 9, 10 | b, 11, ^(12 | b), 13}, Limited{1, 3}},
		"truncate with ends":  {ended, 3, Truncate, Tokens{1 | b, 2, 3, 4, ^(300 | b), 6, 300 | b, 7}, Limited{1, 1}},
		"split with ends":     {ended, 3, "", Tokens{1 | b, 2, 3, 4 | b, 5, 300 | b, 6, 300 | b, 7}, Limited{1, 0}},
	} {
		got, l := c.in.Limit(c.most, c.overflow)
		if !reflect.DeepEqual(got, c.want) || l != c.limited {
			t.Errorf("%s: %d, %+v; expected %d, %+v", name, got, l, c.want, c.limited)
		}
		pieces, p := got.allPieces(100, 0)
		for _, piece := range pieces {
			if piece.n > c.most {
				t.Errorf("%s: a document reads %d tokens", name, piece.n)
			}
		}
		if p.Documents == 0 {
			t.Errorf("%s: nothing is left", name)
		}
	}
}

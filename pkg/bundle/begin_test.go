package bundle

import (
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

func TestBegin(t *testing.T) {
	b := drawn(t, small)
	b.Path = "runs/base"
	b.Tokenizer = tokenizer.WithEnds(b.Tokenizer, 10, 10)
	if ids, err := b.Begin(); err != nil || !slices.Equal(ids, []int32{10}) || !slices.Equal(b.TextEnds(), ids) {
		t.Errorf("a text begins with %v and ends with %v (%v), expected 10", ids, b.TextEnds(), err)
	}
	b.Ends = []int32{65, 66}
	if ids, err := b.Begin(); err != nil || !slices.Equal(ids, []int32{65}) || !slices.Equal(b.TextEnds(), b.Ends) {
		t.Errorf("a text begins with %v and ends with %v (%v), expected 65", ids, b.TextEnds(), err)
	}
	b.Ends, b.Tokenizer = nil, tokenizer.WithEnds(tokenizer.Bytes{}, -1, -1)
	if ids, err := b.Begin(); err == nil || !strings.Contains(err.Error(), "runs/base: its tokenizer names no token") {
		t.Errorf("a text begins with %v (%v)", ids, err)
	}
}

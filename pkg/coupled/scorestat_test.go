package coupled

import (
	"fmt"
	"testing"
)

// TestKeysThatATokenSees: up to itself or on both sides, within its window and its document.
func TestKeysThatATokenSees(t *testing.T) {
	documents := []int32{0, 0, 0, 3, 3, 3, 3, 8} // the last is padding
	for name, c := range map[string]struct {
		of   scoring
		want string // of tokens 2, 4 and 7 of 8
	}{
		"before":                      {scoring{}, "0-3 0-5 0-8"},
		"before, window":              {scoring{window: 2}, "1-3 3-5 6-8"},
		"before, documents":           {scoring{starts: documents}, "0-3 3-5 8-8"},
		"both sides":                  {scoring{both: true}, "0-8 0-8 0-8"},
		"both sides, window":          {scoring{both: true, window: 2}, "1-4 3-6 6-8"},
		"both sides, documents":       {scoring{both: true, starts: documents}, "0-3 3-7 8-8"},
		"both sides, window of three": {scoring{both: true, starts: documents, window: 3}, "1-3 3-6 8-8"},
	} {
		got := ""
		for i, pos := range []int{2, 4, 7} {
			first, end := c.of.keys(pos, 8)
			if i > 0 {
				got += " "
			}
			got += fmt.Sprintf("%d-%d", first, end)
		}
		if got != c.want {
			t.Errorf("%s: %s, expected %s", name, got, c.want)
		}
	}
}

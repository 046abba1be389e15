package configs

import (
	"strings"
	"testing"
)

// TestTitle: a title ends where a sentence pauses, and not within parentheses.
func TestTitle(t *testing.T) {
	for text, want := range map[string]string{
		"# A gpt2 (GELU, learned: positions) of 63 thousand. More.\n#\n# rest": "A gpt2 (GELU, learned: positions) of 63 thousand",
		"# When to prune: a model,\n# trained 2.5 times\n":                     "When to prune",
		"# In 2.5 passes\n# over it\n":                                         "In 2.5 passes over it",
	} {
		if got := Title([]byte(text)); got != want {
			t.Errorf("%q, expected %q", got, want)
		}
	}
	for _, name := range Names() {
		text, err := Read(name)
		if err != nil {
			t.Fatal(err)
		}
		if title := Title(text); title == "" || strings.Count(title, "(") != strings.Count(title, ")") {
			t.Errorf("%s: %q", name, title)
		}
	}
}

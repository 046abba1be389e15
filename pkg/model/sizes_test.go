package model

import "testing"

// TestNamedSizes holds the parameter counts of the sizes known by name, as
// PyTorch counts those of the same architecture.
func TestNamedSizes(t *testing.T) {
	for name, want := range map[string]int{
		"gpt2-small": 124439808, "gpt2-medium": 354823168, // with 1024 positions
		"llama-60m": 58073600, "llama-130m": 134105856,
		"deit-tiny": 5717416, "deit-small": 22050664, "deit-base": 86567656,
	} {
		s := Sizes{Name: name, Context: 1024}
		if s.Images() {
			s.Context = 0
		}
		m, err := New(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := count(m.DenseSpecs()); got != want {
			t.Errorf("%s has %d parameters, expected %d", name, got, want)
		}
	}
	for _, name := range Names() {
		s := Sizes{Name: name}
		if !s.Images() {
			s.Context = 8
		}
		if _, err := New(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

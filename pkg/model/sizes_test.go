package model

import "testing"

// TestNamedSizes holds the parameter counts of the sizes known by name, as
// PyTorch counts those of the same architecture.
func TestNamedSizes(t *testing.T) {
	for name, want := range map[string]int{
		"gpt2-small": 124439808, "gpt2-medium": 354823168, // with 1024 positions
		"llama-60m": 58073600, "llama-130m": 134105856,
	} {
		m, err := New(Sizes{Name: name, Context: 1024})
		if err != nil {
			t.Fatal(err)
		}
		if got := count(m.DenseSpecs()); got != want {
			t.Errorf("%s has %d parameters, expected %d", name, got, want)
		}
	}
	for _, name := range Names() {
		if _, err := New(Sizes{Name: name, Context: 8}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

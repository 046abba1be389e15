package tokenizer

import "slices"

// Opening is the ids of a text that goes on: the tokenizer's template in front,
// nothing of it behind.
func Opening(t Tokenizer, text string) []int32 {
	front, _ := t.Template()
	return t.Encode(slices.Clone(front), []byte(text))
}

// Package model holds the transformer families, one file each: gpt2.go,
// llama.go, vit.go. A family says what its parameters are (named dimensions,
// unit-major), how it computes (a graph.Builder description), and what its
// tensors are called on disk (Hugging Face names and layouts).
//
// A pruned model is not a special case: every size is read from the parameter
// set, layer by layer, and the family lowers to whatever is there.
//
// Letters: B sequences, T tokens of each, N = B·T rows, E hidden width, L layers,
// H query heads, G key/value heads, R = H/G, F feed-forward width, V vocabulary.
package model

// Package model holds the transformer families. Most are one decoder with switches
// (Arch): decoder.go builds every one of them, and a family's own file is its keys of
// config.json, the switches that they set and one table of what its tensors are called in
// Hugging Face's and in GGUF files (qwen2.go is the shortest). encoder.go, bert.go and
// modernbert.go are encoders, vit.go and dinov2.go classify images, with the same layers.
//
// A pruned model is not a special case: every size is read from the parameter
// set, layer by layer, and the family lowers to whatever is there.
//
// Letters: B sequences, T tokens of each, N = B·T rows, E hidden width, L layers,
// H query heads, G key/value heads, R = H/G, F feed-forward width, V vocabulary.
package model

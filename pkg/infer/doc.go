// Package infer runs a trained model forward: a Scheduler continues many texts at once,
// with keys and values in pages of the model's own (pruned) widths, and a Sampler turns
// logits into the next token. Generate and Sample are a Scheduler with requests of their
// own; an Embedder makes the vectors of an encoder.
package infer

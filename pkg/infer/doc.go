// Package infer runs a trained model forward: a Session feeds tokens through a
// model with a key/value cache in the model's own (pruned) widths, and a
// Sampler turns the last row of logits into the next token.
package infer

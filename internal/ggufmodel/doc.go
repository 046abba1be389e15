// Package ggufmodel makes models of GGUF files: the sizes and switches from the keys,
// the weights from the tensors, whatever type they are stored in, and the tokenizer.
//
// An architecture is what general.architecture names; pkg/model says which there are
// and which family each is.
package ggufmodel

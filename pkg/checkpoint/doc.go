// Package checkpoint keeps models on disk.
//
// A model directory holds config.json, model.safetensors and tokenizer.json
// with Hugging Face's names and layouts; it is self-describing, dense or pruned.
// A Tensor says how one tensor of the file is made of parameters; one strided
// copy serves every family, in both directions.
package checkpoint

// Package tokenizer turns text into token ids and back.
//
// Two kinds are built here: Bytes, whose 256 ids are the bytes, and BPE,
// byte-level byte-pair encoding as GPT-2 has it, trained on a corpus by Train.
// Both are saved as a Hugging Face tokenizer.json and opened from one.
//
// A pre-token is a piece of text that merges never cross (GPT-2's rule: a word
// with its leading space, a run of digits, of punctuation, of white space). A
// merge joins two neighbouring tokens of a pre-token; its rank is the order in
// which training found it.
package tokenizer

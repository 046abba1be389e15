// Package tokenizer turns text into token ids and back.
//
// Two kinds are built here: Bytes, whose 256 ids are the bytes, and BPE,
// byte-pair encoding, trained on a corpus by Train or opened from files: a
// Hugging Face tokenizer.json (byte-level as GPT-2 and Llama 3 have it, or on
// characters with byte fallback as Llama 2 has it), GPT-2's vocab.json and
// merges.txt, or a SentencePiece tokenizer.model. Every tokenizer is saved as a
// tokenizer.json. What a file asks for and this package does not do is refused
// by name: ids that differ from those a model was trained on are worse than none.
//
// An added token is found in the text before anything else is done, and is one
// id. A normalizer rewrites the text between them. A pre-token is a piece of text that
// merges never cross (GPT-2's rule: a word with its leading space, a run of
// digits, of punctuation, of white space). A merge joins two neighbouring tokens
// of a pre-token; its rank is the order in which training found it. A piece is
// the bytes that an id stands for when it is decoded.
package tokenizer

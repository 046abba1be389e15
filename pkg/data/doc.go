// Package data turns corpora into batches.
//
// A Corpus is documents of text, split in a training and a validation part. It
// comes from files (plain text, JSON lines), or from the grammar of little
// stories that this package generates and whose entropy is known exactly.
// Tokens are a corpus encoded once. Batches yields windows of them in a seeded
// random order whose position can be saved; Windows yields them in order, for
// evaluation.
package data

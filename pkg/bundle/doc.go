// Package bundle opens and saves a model as it lies on disk, whoever wrote it.
//
// A Bundle is a model with everything that belongs to it: its family and parameters,
// its tokenizer and the ids that end a text, its chat template and generation settings,
// low-rank adapters, and the files that only other programs understand. Open reads it
// from a run directory, a model directory of ecospa or of Hugging Face's libraries
// (also as their cache lays it, with links into its own blobs), or a directory of
// adapters, which leads to their model. Save writes all of it back: what was not
// understood is carried through byte for byte. Close gives its memory back.
//
// A bundle knows what its source said, not what happened since: Model and Set may be
// changed in place (pruned, trained), and Save writes them as they are then.
package bundle

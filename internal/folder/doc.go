// Package folder opens directories that nothing is read outside of.
//
// A Dir is an os.Root with one extension: in a snapshot of Hugging Face's cache the
// files are links to ../../blobs/HASH, so there the directory that links may not
// leave is the repository's folder in the cache, which holds snapshots and blobs.
// Everywhere else no link leads out of the directory itself.
package folder

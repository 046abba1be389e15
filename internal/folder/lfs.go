package folder

import (
	"bytes"
	"errors"
	"io"
)

// ErrLFS is returned for what Git LFS leaves in place of a file that was not downloaded.
var ErrLFS = errors.New("a Git LFS pointer stands here instead of the file: it was cloned without git-lfs; run git lfs pull, or download the file")

// lfsHead begins such a file. Source: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
const lfsHead = "version https://git-lfs.github.com/spec/v1"

// LFS fails with ErrLFS where r is a pointer of Git LFS.
func LFS(r io.ReaderAt) error {
	head := make([]byte, len(lfsHead))
	if n, _ := r.ReadAt(head, 0); bytes.Equal(head[:n], []byte(lfsHead)) {
		return ErrLFS
	}
	return nil
}

// ErrPage is returned for a web page in place of a file.
var ErrPage = errors.New("a web page stands here instead of the file (a download that failed?)")

// Page fails with ErrPage where r begins like a web page.
func Page(r io.ReaderAt) error {
	head := make([]byte, 64)
	n, _ := r.ReadAt(head, 0)
	text := bytes.ToLower(bytes.TrimSpace(head[:n]))
	if bytes.HasPrefix(text, []byte("<!doctype html")) || bytes.HasPrefix(text, []byte("<html")) {
		return ErrPage
	}
	return nil
}

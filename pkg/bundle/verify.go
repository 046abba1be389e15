package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/folder"
	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// Verify reads every byte of a model directory and holds it against its manifest: lengths
// and SHA-256. A directory that another program wrote has no manifest; then the weights
// are read whole, and a number that is not finite is found. It returns what was done.
func Verify(path string) (string, error) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		for _, at := range []string{path, filepath.Join(path, "state", "newest")} {
			done, err := verify(at)
			if err != nil || done != "" {
				return done, fault.BadInput(err)
			}
		}
	}
	b, err := Open(path, Options{})
	if err != nil {
		return "", err
	}
	b.Close()
	return "there is no manifest.json with hashes to compare; all weights were read and are finite", nil
}

// verify holds a directory against its manifest; "" when it has none.
func verify(path string) (string, error) {
	dir, err := folder.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer dir.Close()
	m, err := checkpoint.ReadManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil {
		err = checkpoint.Verify(dir)
	}
	return fmt.Sprintf("%d files have the lengths and SHA-256 of manifest.json", len(m.Files)), err
}

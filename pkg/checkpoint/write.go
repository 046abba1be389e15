package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const manifestFile = "manifest.json"

// File is one file of a directory that is written as a whole.
type File struct {
	Name  string
	Write func(w io.Writer) error
}

func bytesFile(name string, data []byte) File {
	return File{name, func(w io.Writer) error { _, err := w.Write(data); return err }}
}

// JSONFile is a file with v as indented JSON.
func JSONFile(name string, v any) File {
	return File{name, func(w io.Writer) error {
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		_, err = w.Write(append(text, '\n'))
		return err
	}}
}

// Manifest is the checksums of a directory's files.
type Manifest struct {
	Version int               `json:"version"`
	SHA256  map[string]string `json:"sha256"` // file name to hexadecimal digest
}

// WriteDir writes dir with the files and their manifest, completely or not at
// all: into a temporary directory beside it, synced, then renamed. It fails with
// fs.ErrExist when dir is already there.
func WriteDir(dir string, files []File) (err error) {
	if _, serr := os.Lstat(dir); serr == nil {
		return fmt.Errorf("write %s: %w", dir, os.ErrExist)
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, ".tmp-"+filepath.Base(dir)+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(tmp)
		}
	}()
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	m := Manifest{Version: 1, SHA256: map[string]string{}}
	for _, f := range files {
		if m.SHA256[f.Name], err = writeSynced(filepath.Join(tmp, f.Name), f.Write); err != nil {
			return fmt.Errorf("write %s: %w", filepath.Join(dir, f.Name), err)
		}
	}
	mf := JSONFile(manifestFile, m)
	if _, err := writeSynced(filepath.Join(tmp, manifestFile), mf.Write); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Join(dir, manifestFile), err)
	}
	if err := syncDir(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	return syncDir(parent)
}

// writeSynced writes a file, syncs it and returns its digest.
func writeSynced(path string, write func(io.Writer) error) (string, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	err = write(io.MultiWriter(f, sum))
	if err == nil {
		err = f.Sync()
	}
	return hex.EncodeToString(sum.Sum(nil)), errors.Join(err, f.Close())
}

// ReplaceDir is WriteDir where an older directory of that name makes way: it is
// renamed aside first and removed last, so that one of the two is always whole.
func ReplaceDir(dir string, files []File) error {
	if _, err := os.Lstat(dir); err != nil {
		return WriteDir(dir, files)
	}
	fresh := dir + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := WriteDir(fresh, files); err != nil {
		return err
	}
	old := dir + ".old"
	if err := errors.Join(os.RemoveAll(old), os.Rename(dir, old)); err != nil {
		return err
	}
	if err := os.Rename(fresh, dir); err != nil {
		return errors.Join(err, os.Rename(old, dir))
	}
	return os.RemoveAll(old)
}

// WriteFile replaces one file atomically: temporary file, sync, rename.
func WriteFile(path string, data []byte) error {
	return WriteStream(path, func(w io.Writer) error { _, err := w.Write(data); return err })
}

// WriteStream is WriteFile of what write writes.
func WriteStream(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-"+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes renames in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !isInvalid(err) {
		return err
	}
	return nil
}

// Verify checks the directory's files against its manifest.
func Verify(root *os.Root) error {
	text, err := readSmall(root, manifestFile, 1<<20)
	if err != nil {
		return err
	}
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil || m.Version != 1 {
		return fmt.Errorf("%w: %s is no manifest of version 1", ErrFormat, filepath.Join(root.Name(), manifestFile))
	}
	for name, want := range m.SHA256 {
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		sum := sha256.New()
		_, err = io.Copy(sum, f)
		f.Close()
		if err != nil {
			return err
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != want {
			return fmt.Errorf("%w: %s has SHA-256 %.12s..., the manifest says %.12s...", ErrFormat, filepath.Join(root.Name(), name), got, want)
		}
	}
	return nil
}

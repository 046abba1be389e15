package checkpoint

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// tmpPrefix begins the names of what is not finished; nothing reads it.
const tmpPrefix = ".tmp-"

// File is one file of a directory that is written as a whole.
type File struct {
	Name  string
	Write func(w io.Writer) error
	Size  int64 // bytes that Write writes, as far as known beforehand; for Total
	Model bool  // belongs to the model: a run directory shows it (Run.Save)
}

// BytesFile is a file with the given content.
func BytesFile(name string, data []byte) File {
	return File{Name: name, Write: func(w io.Writer) error { _, err := w.Write(data); return err }, Size: int64(len(data))}
}

// JSONFile is a file with v as indented JSON.
func JSONFile(name string, v any) File {
	return File{Name: name, Write: func(w io.Writer) error {
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		_, err = w.Write(append(text, '\n'))
		return err
	}}
}

// Total is the bytes of the files, as far as their sizes are known.
func Total(files []File) int64 {
	n := int64(0)
	for _, f := range files {
		n += f.Size
	}
	return n
}

// Disk writes files and directories that are complete or absent, whatever
// happens meanwhile. The zero Disk writes through the operating system.
type Disk struct {
	Layer Layer // nil is the operating system
}

func (d Disk) layer() Layer {
	if d.Layer == nil {
		return osLayer{}
	}
	return d.Layer
}

// WriteDir writes dir with the files and their manifest, completely or not at
// all: into a temporary directory beside it, synced, then renamed. A directory
// that is there must be empty; otherwise the error is fs.ErrExist. A file may lie
// in a folder of dir, "folder/name".
func WriteDir(dir string, files []File) error { return Disk{}.WriteDir(dir, files) }

// WriteDir is the package's WriteDir on this disk.
func (d Disk) WriteDir(dir string, files []File) error { return d.writeDir(dir, Manifest{}, files) }

func (d Disk) writeDir(dir string, m Manifest, files []File) (err error) {
	l := d.layer()
	dir = filepath.Clean(dir)
	if err := vacant(dir); err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	if err := d.mkdirAll(parent); err != nil {
		return err
	}
	tmp := temporary(dir)
	if err := l.Mkdir(tmp); err != nil {
		return err
	}
	defer func() {
		if err != nil { // the first error counts; what is left behind is skipped by name
			_ = l.RemoveAll(tmp)
		}
	}()
	m.Version, m.Files = manifestVersion, map[string]Digest{}
	folders := map[string]bool{}
	for _, f := range files {
		if folder, name := path.Split(f.Name); !plainName(name) || folder != "" && !plainName(strings.TrimSuffix(folder, "/")) || f.Name == manifestFile || m.Files[f.Name] != (Digest{}) {
			return fmt.Errorf("checkpoint: %q is no name for a file, or is used twice", f.Name)
		} else if folder != "" && !folders[folder] {
			if err := l.Mkdir(filepath.Join(tmp, folder)); err != nil {
				return err
			}
			folders[folder] = true
		}
		if m.Files[f.Name], err = d.writeFile(filepath.Join(tmp, filepath.FromSlash(f.Name)), f.Write); err != nil {
			return fmt.Errorf("write %s: %w", filepath.Join(dir, f.Name), err)
		}
	}
	for folder := range folders {
		if err := l.SyncDir(filepath.Join(tmp, folder)); err != nil {
			return err
		}
	}
	text, err := m.encode()
	if err != nil {
		return err
	}
	if _, err := d.writeFile(filepath.Join(tmp, manifestFile), BytesFile("", text).Write); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Join(dir, manifestFile), err)
	}
	if err := l.SyncDir(tmp); err != nil {
		return err
	}
	if err := l.Rename(tmp, dir); err != nil {
		return err
	}
	return l.SyncDir(parent)
}

// plainName reports whether a name is one element of a path and no hidden file.
func plainName(name string) bool {
	return name != "" && filepath.Base(name) == name && !strings.HasPrefix(name, ".") && !strings.ContainsAny(name, `/\:`)
}

// mkdirAll makes a directory and its parents where they are missing, durably.
func (d Disk) mkdirAll(dir string) error {
	if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
		return err
	}
	if err := d.mkdirAll(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := d.layer().Mkdir(dir); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return d.layer().SyncDir(filepath.Dir(dir))
}

// Replaceable fails where something else than a directory is at path, which ReplaceDir does
// not take away.
func Replaceable(path string) error {
	if st, err := os.Stat(path); err == nil && !st.IsDir() {
		return fmt.Errorf("%s is a file, expected the name of a directory to write", path)
	}
	return nil
}

// vacant reports whether a directory may take the name.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err == nil && len(entries) == 0:
		return nil
	case err == nil:
		return fmt.Errorf("write %s: it is not empty: %w", dir, os.ErrExist)
	}
	if _, serr := os.Lstat(dir); serr == nil {
		return fmt.Errorf("write %s: it is not a directory: %w", dir, os.ErrExist)
	}
	return err
}

// temporary is a name beside path that is not taken; two processes do not get
// the same.
func temporary(path string) string {
	base := filepath.Join(filepath.Dir(path), fmt.Sprintf("%s%s-%d", tmpPrefix, filepath.Base(path), os.Getpid()))
	name := base
	for i := 2; ; i++ {
		if _, err := os.Lstat(name); err != nil {
			return name
		}
		name = fmt.Sprintf("%s-%d", base, i)
	}
}

// writeFile writes a new file, syncs it and returns its digest.
func (d Disk) writeFile(path string, write func(io.Writer) error) (Digest, error) {
	f, err := d.layer().Create(path)
	if err != nil {
		return Digest{}, err
	}
	sum := &digester{hash: sha256.New()}
	// Large writes pass through the buffer untouched.
	b := bufio.NewWriterSize(f, 256<<10)
	err = write(io.MultiWriter(b, sum))
	if err == nil {
		err = b.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	return Digest{sum.n, hex.EncodeToString(sum.hash.Sum(nil))}, oneError(err)
}

// oneError drops the second of two joined errors: a message is one line.
func oneError(err error) error {
	if j, ok := err.(interface{ Unwrap() []error }); ok && len(j.Unwrap()) > 0 {
		return j.Unwrap()[0]
	}
	return err
}

// digester counts and hashes what is written.
type digester struct {
	hash hash.Hash
	n    int64
}

func (d *digester) Write(p []byte) (int, error) {
	d.n += int64(len(p))
	return d.hash.Write(p)
}

// WriteFile replaces one file atomically: temporary file, sync, rename.
func WriteFile(path string, data []byte) error { return Disk{}.WriteFile(path, data) }

// WriteStream is WriteFile of what write writes. Folders above the file that are missing are made.
func WriteStream(path string, write func(io.Writer) error) error {
	return Disk{}.WriteStream(path, write)
}

// WriteFile is the package's WriteFile on this disk.
func (d Disk) WriteFile(path string, data []byte) error {
	return d.WriteStream(path, BytesFile("", data).Write)
}

// WriteStream is the package's WriteStream on this disk.
func (d Disk) WriteStream(path string, write func(io.Writer) error) error {
	l := d.layer()
	tmp := temporary(path)
	err := d.mkdirAll(filepath.Dir(path))
	if err == nil {
		_, err = d.writeFile(tmp, write)
	}
	if err == nil {
		err = l.Rename(tmp, path)
	}
	if err != nil {
		_ = l.RemoveAll(tmp)
		return fmt.Errorf("write %s: %w", path, err)
	}
	return l.SyncDir(filepath.Dir(path))
}

// sweep removes what interrupted writes have left in a directory. The caller
// makes sure that nobody is writing there.
func (d Disk) sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tmpPrefix) {
			if err := d.layer().RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

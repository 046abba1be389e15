package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sort"
)

const (
	manifestFile    = "manifest.json"
	manifestVersion = 1
	maxManifest     = 1 << 20 // bytes
)

// Manifest vouches for the files of a directory that was written as a whole.
type Manifest struct {
	Version  int               `json:"version"`
	Step     int               `json:"step"`     // optimizer steps done; 0 outside of a run
	Sequence int               `json:"sequence"` // counts the checkpoints of a run; 0 outside of a run
	Files    map[string]Digest `json:"files"`
	// Check is the SHA-256 of the manifest itself, written with Check empty.
	Check string `json:"check"`
}

// Digest is a file's length in bytes and its hexadecimal SHA-256.
type Digest struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// encode is the manifest as written, with its Check.
func (m Manifest) encode() ([]byte, error) {
	m.Check = ""
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	m.Check = hex.EncodeToString(sum[:])
	text, err = json.MarshalIndent(m, "", "  ")
	return append(text, '\n'), err
}

// parseManifest decodes what encode wrote, and nothing else: the text must be
// exactly the one that encode makes.
func parseManifest(text []byte) (Manifest, error) {
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("it is damaged: %w", err)
	}
	if m.Version != manifestVersion {
		return Manifest{}, fmt.Errorf("it has version %d, expected %d", m.Version, manifestVersion)
	}
	if again, err := m.encode(); err != nil || !bytes.Equal(again, text) {
		return Manifest{}, errors.New("it is damaged: its own checksum does not fit")
	}
	if m.Step < 0 || m.Sequence < 0 {
		return Manifest{}, fmt.Errorf("it has step %d and sequence %d, expected 0 or more", m.Step, m.Sequence)
	}
	return m, nil
}

// ReadManifest reads the manifest of a directory. A directory without one gives
// an error that is fs.ErrNotExist.
func ReadManifest(root Root) (Manifest, error) {
	text, err := readSmall(root, manifestFile, maxManifest)
	if err != nil {
		return Manifest{}, err
	}
	m, err := parseManifest(text)
	if err != nil {
		return m, fmt.Errorf("%w: %s: %w", ErrFormat, filepath.Join(root.Name(), manifestFile), err)
	}
	return m, nil
}

// Verify checks files of the directory against its manifest, byte by byte: the
// names given, or with none all of them. It fails when a file is missing,
// differs, or is not in the manifest, and when there is no manifest.
func Verify(root Root, names ...string) error {
	m, err := ReadManifest(root)
	if err != nil {
		return err
	}
	for name := range m.Files {
		if len(names) == 0 || slices.Contains(names, name) {
			continue
		}
		delete(m.Files, name)
	}
	for _, name := range names {
		if _, ok := m.Files[name]; !ok {
			return fmt.Errorf("%w: %s is not in %s", ErrFormat, filepath.Join(root.Name(), name), manifestFile)
		}
	}
	return m.verify(root)
}

func (m Manifest) verify(root Root) error {
	var names []string
	for name := range m.Files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := m.Files[name].verify(root, name); err != nil {
			return err
		}
	}
	return nil
}

func (d Digest) verify(root Root, name string) error {
	f, size, err := openRegular(root, name)
	if err != nil {
		return err
	}
	defer f.Close()
	if size != d.Bytes {
		return fmt.Errorf("%w: %s has %d bytes, its manifest says %d: damaged, or changed by hand", ErrFormat, f.Name(), size, d.Bytes)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != d.SHA256 {
		return fmt.Errorf("%w: %s has SHA-256 %.12s..., its manifest says %s: damaged, or changed by hand", ErrFormat, f.Name(), got, ellipsis(d.SHA256))
	}
	return nil
}

func ellipsis(digest string) string {
	if len(digest) > 12 {
		digest = digest[:12]
	}
	return quote(digest + "...")
}

// intact is verify without looking at the contents: every file is there with its
// length.
func (m Manifest) intact(root Root) error {
	for name, d := range m.Files {
		st, err := root.Stat(name)
		if err != nil {
			return err
		}
		if st.Size() != d.Bytes {
			return fmt.Errorf("%w: %s has %d bytes, its manifest says %d", ErrFormat, filepath.Join(root.Name(), name), st.Size(), d.Bytes)
		}
	}
	return nil
}

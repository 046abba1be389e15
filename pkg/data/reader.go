package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// How documents become sequences: see Config.Pack.
const (
	PackDocuments = "documents"
	PackStream    = "stream"
)

// Record is one record of a file: a line, a row, an element of an array.
type Record struct {
	Place  string   // in the file, for messages: "line 3"
	Values [][]byte // of the fields that were asked for; nil where a field is null
}

// Reader reads files of one format. It registers itself by their extensions.
type Reader struct {
	Extensions []string // in lower case, with the dot
	Pack       string   // how its documents become sequences where data.pack does not say
	// Read gives add the records of a file, in order; one that lacks a field is an error.
	// The values are not used again by the reader. Without fields a record has one value,
	// a JSON object: all of it, or what of a table may be a chat. Nil where Tokens is not.
	Read func(f *os.File, fields []string, add func(Record) error) error
	// Plain says that a file is one text: Read gets no fields and gives one record.
	Plain bool
	// Tokens reads a file of token ids, which it keeps open where it succeeds.
	Tokens func(f *os.File) (*shardFile, error)
}

var readers = map[string]Reader{}

// Register adds a reader. It panics when an extension is taken.
func Register(r Reader) {
	for _, ext := range r.Extensions {
		if _, ok := readers[ext]; ok {
			panic("data: extension " + ext + " is registered twice")
		}
		readers[ext] = r
	}
}

// Extensions lists the extensions that are read, sorted.
func Extensions() []string {
	var out []string
	for ext := range readers {
		out = append(out, ext)
	}
	sort.Strings(out)
	return out
}

// extension is a file's extension as readers have it.
func extension(path string) string { return strings.ToLower(filepath.Ext(path)) }

// reader finds a file's reader by its extension; what is no regular file (a pipe) and has
// none is text.
func (s source) reader() (Reader, error) {
	ext := extension(s.path)
	if r, ok := readers[ext]; ok {
		return r, nil
	}
	f, err := s.open()
	if err != nil {
		return Reader{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Reader{}, err
	}
	if ext == "" && !st.Mode().IsRegular() {
		return readers[".txt"], nil
	}
	if compressed[ext] {
		return Reader{}, fmt.Errorf("%w: %s: a %s file is not read, it is compressed from offset 0 on: unpack it first", ErrFormat, s.path, ext)
	}
	what := fmt.Sprintf("the extension %q is not known", ext)
	if ext == "" {
		what = "it has no extension"
	}
	err = fmt.Errorf("%s, expected one of %s", what, strings.Join(Extensions(), ", "))
	head := make([]byte, 512)
	n, _ := f.Read(head)
	return Reader{}, errors.Join(fmt.Errorf("%w: %s: %w%s", ErrFormat, s.path, err, binaryAt(head[:n])))
}

// compressed are extensions of compressed files and archives.
var compressed = map[string]bool{".gz": true, ".zst": true, ".xz": true, ".bz2": true, ".lz4": true, ".zip": true, ".tar": true, ".tgz": true, ".7z": true}

// source is a file of a corpus.
type source struct {
	path   string
	folder string // out of which no link may lead; "" when the file itself was asked for
}

// expand lists the files that a path stands for, sorted by name.
func expand(path string) ([]source, error) {
	st, err := os.Stat(path)
	switch {
	case err == nil && st.IsDir():
		return folderFiles(path)
	case err == nil:
		return []source{{path, ""}}, nil
	case !strings.ContainsAny(path, "*?["):
		return nil, err
	}
	names, gerr := filepath.Glob(path)
	if gerr != nil {
		return nil, fmt.Errorf("%w: glob %s: %w", ErrFormat, path, gerr)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("glob %s: %w", path, fs.ErrNotExist)
	}
	var files []source
	for _, n := range names {
		files = append(files, source{n, filepath.Dir(n)})
	}
	return files, nil
}

// folderFiles lists the files of a folder that have a reader. Files that say something
// about the others are left out: a README and a licence always, .json and .md files where
// there are others.
func folderFiles(dir string) ([]source, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, err
	}
	var files, json, notes []source
	folders := ""
	for _, e := range entries {
		ext := extension(e.Name())
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			folders = "; folders in it are not looked into: " + e.Name()
		}
		if _, ok := readers[ext]; !ok || strings.HasPrefix(e.Name(), ".") || describes(e.Name()) {
			continue
		}
		to := map[string]*[]source{".json": &json, ".md": &notes}[ext]
		if to == nil {
			to = &files
		}
		*to = append(*to, source{filepath.Join(dir, e.Name()), dir})
	}
	for _, other := range [][]source{json, notes} {
		if len(files) == 0 {
			files = other
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: folder %s holds no file that is read: %s%s", ErrFormat, dir, strings.Join(Extensions(), ", "), folders)
	}
	return files, nil
}

// describes reports whether a file of a folder is about the others.
func describes(name string) bool {
	switch name, _, _ = strings.Cut(strings.ToLower(name), "."); name {
	case "readme", "license", "licence", "dataset_info", "dataset_infos":
		return true
	}
	return false
}

// missing says that a record lacks a field, and which it has.
func missing(field string, names []string) error {
	slices.Sort(names)
	if len(names) > 20 {
		names = append(names[:20], "...")
	}
	return missingField(fmt.Sprintf("has no field %q, it has %s", field, strings.Join(names, ", ")))
}

// missingField is the error of a record that lacks a field.
type missingField string

func (m missingField) Error() string { return string(m) }

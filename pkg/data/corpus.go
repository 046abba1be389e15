package data

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/ecospa/ecospa/internal/folder"
)

// ErrFormat is returned when a data file is not what it should be; the message
// names the file and the place.
var ErrFormat = errors.New("data: bad file")

// Part is one part of a corpus.
type Part struct {
	Documents [][]byte
	Prompts   [][]byte // before each document, not predicted; nil for none
	IDs       []int32  // instead of documents: token ids from a .bin file
	File      string   // that file
	First     int      // index in it of the first id
	// Entropy is the information of the part in nats, where the generator
	// knows it; NaN for files.
	Entropy float64
}

// Bytes is the length of the documents together.
func (p Part) Bytes() int {
	n := 0
	for _, d := range p.Documents {
		n += len(d)
	}
	return n
}

// Text is the documents one after the other.
func (p Part) Text() []byte { return bytes.Join(p.Documents, nil) }

// Corpus is what is learned and what is held out.
type Corpus struct{ Train, Validation Part }

// Load reads or generates the corpus of a valid configuration.
func Load(c Config) (Corpus, error) {
	if c.Synthetic != "" {
		return loadStories(c)
	}
	all, err := Read(c.Path, c.Field, c.Prompt)
	if err != nil {
		return Corpus{}, err
	}
	if c.ValidationPath != "" {
		held, err := Read(c.ValidationPath, c.Field, c.Prompt)
		return Corpus{all, held}, err
	}
	train, held := all.split(c.Validation)
	return Corpus{train, held}, nil
}

// loadStories generates stories and splits them at a story's end. The stories
// of a part are one document.
func loadStories(c Config) (Corpus, error) {
	size, err := c.bytes()
	if err != nil {
		return Corpus{}, err
	}
	stories, nats := Stories(size, c.Seed)
	k := len(stories) - int(math.Round(c.Validation*float64(len(stories))))
	part := func(lo, hi int) Part {
		p := Part{Documents: [][]byte{[]byte(strings.Join(stories[lo:hi], ""))}}
		for _, n := range nats[lo:hi] {
			p.Entropy += n
		}
		return p
	}
	return Corpus{part(0, k), part(k, len(stories))}, nil
}

// split holds out the last share of the documents' bytes, at a character's end;
// documents with prompts stay whole.
func (p Part) split(share float64) (train, held Part) {
	if p.IDs != nil {
		n := len(p.IDs) - int(share*float64(len(p.IDs)))
		train, held = p, p
		train.IDs, held.IDs, held.First = p.IDs[:n:n], p.IDs[n:], n
		return train, held
	}
	left := p.Bytes() - int(share*float64(p.Bytes()))
	train.Entropy, held.Entropy = p.Entropy, p.Entropy
	for i, d := range p.Documents {
		at := max(0, min(left, len(d)))
		for at > 0 && at < len(d) && !utf8.RuneStart(d[at]) {
			at--
		}
		if p.Prompts != nil && at < len(d) {
			at = 0
		}
		if at > 0 {
			train.add(p, i, d[:at])
		}
		if at < len(d) {
			held.add(p, i, d[at:])
		}
		left -= len(d)
	}
	return train, held
}

// add appends text of document i of another part, with its prompt.
func (p *Part) add(from Part, i int, text []byte) {
	p.Documents = append(p.Documents, text)
	if from.Prompts != nil {
		p.Prompts = append(p.Prompts, from.Prompts[i])
	}
}

// Read reads the documents at path as ReadText does, or the ids of a .bin file of
// tokens (nanoGPT's, or llm.c's with its header). With the name of a prompt's
// field every file must be .jsonl or .parquet: what stands there comes before the
// document and is not predicted.
func Read(path, field, prompt string) (Part, error) {
	p := Part{Entropy: math.NaN()}
	if strings.HasSuffix(path, ".bin") {
		if prompt != "" {
			return p, fmt.Errorf("%w: %s holds tokens and no prompts", ErrFormat, path)
		}
		p.File = path
		var err error
		if p.IDs, err = readTokenFile(source{path: path}); err == nil && len(p.IDs) == 0 {
			err = fmt.Errorf("%w: %s is empty", ErrFormat, path)
		}
		return p, err
	}
	if prompt == "" {
		docs, err := ReadText(path, field)
		p.Documents = docs
		return p, err
	}
	files, err := expand(path)
	if err != nil {
		return p, err
	}
	for _, f := range files {
		prompts, docs, err := readPairs(f, prompt, field)
		if err != nil {
			return p, err
		}
		p.Prompts, p.Documents = append(p.Prompts, prompts...), append(p.Documents, docs...)
	}
	if p.Bytes() == 0 {
		return p, fmt.Errorf("%w: %s is empty", ErrFormat, path)
	}
	return p, nil
}

// ReadText reads the documents at path: a .txt file is one document, each line of a
// .jsonl file and each row of a .parquet file is one (its field); a folder or a glob
// stands for its files, sorted by name. In a folder they must be regular files, or links to such in it.
func ReadText(path, field string) ([][]byte, error) {
	files, err := expand(path)
	if err != nil {
		return nil, err
	}
	var docs [][]byte
	for _, f := range files {
		got, err := readFile(f, field)
		if err != nil {
			return nil, err
		}
		docs = append(docs, got...)
	}
	if (Part{Documents: docs}).Bytes() == 0 {
		return nil, fmt.Errorf("%w: %s is empty", ErrFormat, path)
	}
	return docs, nil
}

// source is a file of a corpus.
type source struct {
	path   string
	folder string // out of which no link may lead; "" when the file itself was asked for
}

// open opens the file for reading.
func (s source) open() (*os.File, error) {
	if s.folder == "" {
		return os.Open(s.path)
	}
	root, err := folder.Open(s.folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name := filepath.Base(s.path)
	st, err := root.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFormat, s.path, err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrFormat, s.path)
	}
	return root.Open(name)
}

// expand lists the files that a path stands for.
func expand(path string) ([]source, error) {
	st, err := os.Stat(path)
	switch {
	case err == nil && st.IsDir():
		var files []source
		entries, err := os.ReadDir(path) // sorted
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); ext == ".txt" || ext == ".jsonl" || ext == ".parquet" {
				files = append(files, source{filepath.Join(path, e.Name()), path})
			}
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%w: folder %s holds no .txt, .jsonl or .parquet file", ErrFormat, path)
		}
		return files, nil
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
		return nil, fmt.Errorf("glob %s: %w", path, os.ErrNotExist)
	}
	var files []source
	for _, n := range names {
		files = append(files, source{n, filepath.Dir(n)})
	}
	return files, nil
}

// readFile reads the documents of one file.
func readFile(s source, field string) ([][]byte, error) {
	f, err := s.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch filepath.Ext(s.path) {
	case ".jsonl":
		return readLines(s.path, f, field)
	case ".parquet":
		return readParquet(s.path, f, field)
	}
	var text bytes.Buffer
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
		text.Grow(int(st.Size()) + bytes.MinRead)
	}
	if _, err := text.ReadFrom(f); err != nil {
		return nil, err
	}
	if err := checkUTF8(s.path, text.Bytes()); err != nil {
		return nil, err
	}
	return [][]byte{text.Bytes()}, nil
}

// checkUTF8 names the first byte that is not text.
func checkUTF8(path string, text []byte) error {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			line := 1 + bytes.Count(text[:i], []byte{'\n'})
			return fmt.Errorf("%w: %s is not UTF-8 text: byte 0x%02x at offset %d, line %d", ErrFormat, path, text[i], i, line)
		}
		i += n
	}
	return nil
}

// maxLine bounds a line of a .jsonl file in bytes.
const maxLine = 64 << 20

func readLines(path string, f io.Reader, field string) ([][]byte, error) {
	var docs [][]byte
	r := bufio.NewScanner(f)
	r.Buffer(nil, maxLine)
	for line := 1; r.Scan(); line++ {
		text := bytes.TrimSpace(r.Bytes())
		if len(text) == 0 {
			continue
		}
		if err := checkUTF8(path, text); err != nil {
			return nil, err
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(text, &fields); err != nil {
			return nil, fmt.Errorf("%w: %s line %d: %w", ErrFormat, path, line, err)
		}
		var doc string
		raw, ok := fields[field]
		if !ok {
			return nil, fmt.Errorf("%w: %s line %d has no field %q", ErrFormat, path, line, field)
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			return nil, fmt.Errorf("%w: %s line %d: field %q is not a string", ErrFormat, path, line, field)
		}
		docs = append(docs, []byte(doc))
	}
	if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %s: %w", ErrFormat, path, err)
	}
	return docs, nil
}

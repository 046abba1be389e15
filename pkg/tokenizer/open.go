package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxFile bounds a tokenizer's file in bytes.
const maxFile = 256 << 20

// Open reads a tokenizer.json, a vocab.json with the merges.txt beside it, a
// SentencePiece tokenizer.model, BERT's vocab.txt, or whichever of them a directory holds, in
// this order. A file that is none of them is an ErrFormat, a directory without any
// fs.ErrNotExist.
func Open(path string) (Tokenizer, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	dir, name := filepath.Dir(path), filepath.Base(path)
	files := os.DirFS(dir)
	if st.IsDir() {
		root, err := os.OpenRoot(path) // no link leads out of it
		if err != nil {
			return nil, err
		}
		defer root.Close()
		dir, name, files = path, "", root.FS()
	}
	text, found, err := Find(files, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, found), err)
	}
	t, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, found), err)
	}
	return t, nil
}

// Find returns a directory's tokenizer as the text of a tokenizer.json: the file
// of that name as it is, others converted. name is the file that it is made of,
// found or, where it is empty, tokenizer.json, vocab.json with merges.txt,
// tokenizer.model or vocab.txt; the error of a directory that has none is fs.ErrNotExist.
// To those that are converted come the tokens that files beside them name (addBeside). Of a
// tokenizer_config.json beside a file that was found, add_bos_token and
// add_eos_token count where transformers' class heeds them.
func Find(dir fs.FS, name string) (text []byte, found string, err error) {
	names := []string{"tokenizer.json", "vocab.json", "tokenizer.model", "vocab.txt"}
	if name != "" {
		names = []string{name}
	}
	for _, name := range names {
		b, err := readBounded(dir, name)
		if errors.Is(err, fs.ErrNotExist) && len(names) > 1 {
			continue
		}
		if err != nil {
			return nil, name, err
		}
		if b, err = converted(dir, name, b); err != nil {
			return nil, name, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		if len(names) > 1 {
			b, err = withSettings(dir, b)
		}
		return b, name, err
	}
	return nil, "", fmt.Errorf("no %s or %s: %w", strings.Join(names[:len(names)-1], ", "), names[len(names)-1], fs.ErrNotExist)
}

// converted is a file as the text of a tokenizer.json.
func converted(dir fs.FS, name string, b []byte) ([]byte, error) {
	var f *file
	var v tokenIDs
	var err error
	switch {
	case name == "vocab.json":
		f, v, err = convertGPT2(dir, b)
	case filepath.Ext(name) == ".model":
		f, v, err = convertSentencePiece(b)
	case name == "vocab.txt":
		f, v, err = convertBERT(dir, b)
	default:
		return b, nil
	}
	if err == nil {
		err = addBeside(dir, f, v)
	}
	if err != nil {
		return nil, err
	}
	return write(f)
}

func readBounded(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%w: more than %d bytes", ErrFormat, maxFile)
	}
	return bytes.TrimPrefix(b, []byte("\ufeff")), err
}

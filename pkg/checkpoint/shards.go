package checkpoint

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"github.com/ecospa/ecospa/internal/folder"
	"github.com/ecospa/ecospa/internal/mapped"
)

const (
	weightsFile = "model.safetensors"
	indexFile   = "model.safetensors.index.json"
)

// weights is the tensors of one file or several.
type weights struct {
	entries map[string]located
	files   []*os.File
	maps    []*mapped.File
}

// located is a tensor in its file.
type located struct {
	entry
	file *mapped.File
	base int64 // of the file's data
}

func (w *weights) close() error {
	var errs []error
	for _, m := range w.maps {
		errs = append(errs, m.Close())
	}
	for _, f := range w.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// find is the first of the names that there is, or "".
func (w *weights) find(names []string) string {
	for _, n := range names {
		if _, ok := w.entries[n]; ok {
			return n
		}
	}
	return ""
}

// openWeights opens what the directory holds: one file, or an index of several.
func openWeights(root Root) (w *weights, err error) {
	w = &weights{entries: map[string]located{}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err := w.open(root, weightsFile, nil); !errors.Is(err, os.ErrNotExist) {
		w.unwrap()
		return w, err
	}
	text, err := readSmall(root, indexFile, maxHeader)
	if errors.Is(err, os.ErrNotExist) {
		return w, missingWeights(root)
	}
	if err != nil {
		return w, err
	}
	shards, err := parseIndex(text)
	if err != nil {
		return w, fmt.Errorf("%w: %s: %w", ErrFormat, filepath.Join(root.Name(), indexFile), err)
	}
	var files []string
	for file := range shards {
		files = append(files, file)
	}
	sort.Strings(files)
	for _, file := range files {
		err := w.open(root, file, shards[file])
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w, which %s names", err, indexFile)
		}
		if err != nil {
			return w, err
		}
	}
	w.unwrap()
	return w, nil
}

// wrappers are what stands in front of every name where a wrapped model was saved: PyTorch's
// DistributedDataParallel and torch.compile.
var wrappers = []string{"module.", "_orig_mod."}

// unwrap takes wrappers away that all names have.
func (w *weights) unwrap() {
	for i := 0; len(w.entries) > 0 && i < len(wrappers); i++ {
		bare := make(map[string]located, len(w.entries))
		for name, e := range w.entries {
			rest, ok := strings.CutPrefix(name, wrappers[i])
			if !ok {
				break
			}
			bare[rest] = e
		}
		if len(bare) == len(w.entries) {
			w.entries, i = bare, -1
		}
	}
}

// missingWeights says what a directory without safetensors holds instead.
func missingWeights(root Root) error {
	for _, old := range []string{"pytorch_model.bin", "pytorch_model.bin.index.json"} {
		if _, err := root.Stat(old); err == nil {
			return fmt.Errorf("%s: %s runs code when it is read, so it is not; save the model as %s (save_pretrained with safe_serialization=True)", root.Name(), old, weightsFile)
		}
	}
	if others := safetensorsOf(root); len(others) > 0 {
		return fmt.Errorf("%s: neither %s nor %s; it holds %s: name a single file %s, several need their index", root.Name(), weightsFile, indexFile, shorten(others, 3), weightsFile)
	}
	return fmt.Errorf("%s: neither %s nor %s: %w", root.Name(), weightsFile, indexFile, os.ErrNotExist)
}

// safetensorsOf are the names of a directory's safetensors files, sorted.
func safetensorsOf(root Root) (names []string) {
	d, err := root.OpenFile(".", os.O_RDONLY, 0)
	if err != nil {
		return nil
	}
	defer d.Close()
	all, err := d.Readdirnames(-1)
	if err != nil {
		return nil
	}
	for _, n := range all {
		if strings.HasSuffix(n, ".safetensors") && n != "adapter_model.safetensors" {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	return names
}

// parseIndex decodes an index of several files: for each file, the tensors that
// it holds.
func parseIndex(text []byte) (map[string]map[string]bool, error) {
	shards := map[string]map[string]bool{}
	found := false
	err := wholeObject(text, func(dec *json.Decoder, key string) error {
		if key != "weight_map" {
			var skip json.RawMessage
			return dec.Decode(&skip)
		}
		found = true
		err := eachText(dec, func(name, file string) error {
			if path.Base(file) != file || strings.ContainsAny(file, `\:`) || !strings.HasSuffix(file, ".safetensors") {
				return fmt.Errorf("%s is in %s, expected the name of a .safetensors file of the same directory", quote(name), quote(file))
			}
			if shards[file] == nil {
				shards[file] = map[string]bool{}
			}
			shards[file][name] = true
			return nil
		})
		if err != nil {
			return fmt.Errorf("weight_map: %w", err)
		}
		return nil
	})
	if err == nil && !found {
		err = errors.New("no weight_map")
	}
	return shards, err
}

// open adds the tensors of a file; names, if given, are what an index expects of it.
func (w *weights) open(root Root, file string, names map[string]bool) error {
	f, size, err := openRegular(root, file)
	if err != nil {
		return err
	}
	w.files = append(w.files, f)
	entries, base, err := parseHeader(f, size)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	for name := range names {
		if _, ok := entries[name]; !ok {
			return fmt.Errorf("%w: %s lists %s in %s, which does not hold it", ErrFormat, filepath.Join(root.Name(), indexFile), quote(name), file)
		}
	}
	m := mapped.Map(f, size)
	w.maps = append(w.maps, m)
	for name, e := range entries {
		if _, twice := w.entries[name]; twice {
			return fmt.Errorf("%w: %s: tensor %s is in another file of the index as well", ErrFormat, f.Name(), quote(name))
		}
		w.entries[name] = located{e, m, base}
	}
	return nil
}

// openRegular opens a regular file of the directory and returns its size. It
// does not wait for the other end of a pipe.
func openRegular(root Root, name string) (*os.File, int64, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			pe.Path = filepath.Join(root.Name(), name)
		}
		return nil, 0, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is not a regular file", ErrFormat, f.Name())
	}
	if err == nil {
		if other := cmp.Or(folder.LFS(f), folder.Page(f)); other != nil {
			err = fmt.Errorf("%w: %s: %w", ErrFormat, f.Name(), other)
		}
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, st.Size(), nil
}

// readSmall reads a whole file of at most limit bytes.
func readSmall(root Root, name string, limit int64) ([]byte, error) {
	f, size, err := openRegular(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, expected at most %d", ErrFormat, f.Name(), size, limit)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(f, text); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return text, nil
}

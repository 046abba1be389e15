package checkpoint

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"sort"
	"strings"

	"github.com/ecospa/ecospa/pkg/param"
)

const (
	weightsFile = "model.safetensors"
	indexFile   = "model.safetensors.index.json"
)

// WriteWeights writes the tensors as one safetensors file of the type F32, F16
// or BF16, straight from the parameters: no second copy of the weights is made.
func WriteWeights(w io.Writer, set *param.Set, tensors []Tensor, dtype string) error {
	width, ok := dtypeBytes[dtype]
	if !ok || dtype != "F32" && dtype != "F16" && dtype != "BF16" {
		return fmt.Errorf("checkpoint: weights of type %q, expected F32, F16 or BF16", dtype)
	}
	var bound []placed
	for _, t := range tensors {
		b, err := t.bind(set)
		if err != nil {
			return err
		}
		bound = append(bound, b)
	}
	head, err := header(bound, dtype)
	if err != nil {
		return err
	}
	bw := bufio.NewWriterSize(w, 1<<20)
	if _, err := bw.Write(head); err != nil {
		return err
	}
	var values []float32
	var raw []byte
	for _, b := range bound {
		for i := range b.segments {
			s := &b.segments[i]
			step := s.chunk()
			values = grow(values, step*s.width)
			raw = grow(raw, step*s.width*int(width))
			for lo := 0; lo < s.rows; lo += step {
				hi := min(s.rows, lo+step)
				n := (hi - lo) * s.width
				s.gather(values[:n], lo, hi)
				encode(raw[:n*int(width)], values[:n], dtype)
				if _, err := bw.Write(raw[:n*int(width)]); err != nil {
					return err
				}
			}
		}
	}
	return bw.Flush()
}

func grow[E any](b []E, n int) []E {
	if cap(b) < n {
		return make([]E, n)
	}
	return b[:n]
}

// ReadWeights fills the set from model.safetensors of root, or from the files
// of its index. Names that match a pattern of ignore (path.Match) may be there;
// every other missing, unexpected or misshapen tensor is listed in one error.
func ReadWeights(root *os.Root, set *param.Set, tensors []Tensor, ignore []string) error {
	files, err := openWeights(root)
	if err != nil {
		return err
	}
	defer files.close()
	var wrong []string
	used := map[string]bool{}
	for _, t := range tensors {
		b, err := t.bind(set)
		if err != nil {
			return err
		}
		name := files.find(append([]string{t.Name}, t.Aliases...))
		if name == "" {
			wrong = append(wrong, "missing "+t.Name)
			continue
		}
		used[name] = true
		if e := files.entries[name]; !sameShape(e.entry.Shape, b.shape) {
			wrong = append(wrong, fmt.Sprintf("%s has shape %v, expected %v", name, e.entry.Shape, b.shape))
		} else if e.entry.DType != "F32" && e.entry.DType != "F16" && e.entry.DType != "BF16" {
			wrong = append(wrong, fmt.Sprintf("%s has type %s, expected F32, F16 or BF16", name, e.entry.DType))
		} else if err := e.read(b); err != nil {
			return err
		}
	}
	for name := range files.entries {
		if !used[name] && !matchesAny(name, ignore) {
			wrong = append(wrong, "unexpected "+name)
		}
	}
	if len(wrong) > 0 {
		sort.Strings(wrong)
		return fmt.Errorf("%w: %s: %s", ErrFormat, root.Name(), shorten(wrong, 8))
	}
	return nil
}

// shorten joins at most n items and counts the rest.
func shorten(items []string, n int) string {
	if len(items) <= n {
		return strings.Join(items, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(items[:n], "; "), len(items)-n)
}

func matchesAny(name string, patterns []string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok {
			return true
		}
	}
	return false
}

func sameShape(a []int64, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != int64(b[i]) {
			return false
		}
	}
	return true
}

// weights is the tensors of one file or several.
type weights struct {
	entries map[string]located
	files   []*os.File
}

// located is a tensor in its file.
type located struct {
	entry entry
	f     *os.File
	base  int64 // of the file's data
}

func (w *weights) close() {
	for _, f := range w.files {
		f.Close()
	}
}

func (w *weights) find(names []string) string {
	for _, n := range names {
		if _, ok := w.entries[n]; ok {
			return n
		}
	}
	return ""
}

// openWeights opens what the directory holds: one file, or an index of several.
func openWeights(root *os.Root) (*weights, error) {
	w := &weights{entries: map[string]located{}}
	err := w.open(root, weightsFile, nil)
	if !errors.Is(err, os.ErrNotExist) {
		return w, err
	}
	text, ierr := readSmall(root, indexFile, maxHeader)
	if errors.Is(ierr, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: neither %s nor %s: %w", root.Name(), weightsFile, indexFile, os.ErrNotExist)
	}
	if ierr != nil {
		return nil, ierr
	}
	var index struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFormat, indexFile, err)
	}
	byFile := map[string]map[string]bool{}
	for name, file := range index.Map {
		if path.Base(file) != file || !strings.HasSuffix(file, ".safetensors") {
			return nil, fmt.Errorf("%w: %s: %q is not a safetensors file of the directory", ErrFormat, indexFile, file)
		}
		if byFile[file] == nil {
			byFile[file] = map[string]bool{}
		}
		byFile[file][name] = true
	}
	for file, names := range byFile {
		if err := w.open(root, file, names); err != nil {
			w.close()
			return nil, err
		}
	}
	return w, nil
}

// open adds the tensors of a file; names, if given, are what an index expects of it.
func (w *weights) open(root *os.Root, file string, names map[string]bool) error {
	f, err := root.Open(file)
	if err != nil {
		return err
	}
	w.files = append(w.files, f)
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is not a regular file", ErrFormat, file)
	}
	entries, base, err := parseHeader(f, st.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	for name := range names {
		if _, ok := entries[name]; !ok {
			return fmt.Errorf("%w: %s lists %q in %s, which does not hold it", ErrFormat, indexFile, name, file)
		}
	}
	for name, e := range entries {
		if _, twice := w.entries[name]; twice {
			return fmt.Errorf("%w: tensor %q is in two files", ErrFormat, name)
		}
		w.entries[name] = located{e, f, base}
	}
	return nil
}

// read fills the tensor's parameters, a chunk of rows at a time.
func (l located) read(b placed) error {
	width := int(dtypeBytes[l.entry.DType])
	at := l.base + l.entry.Offsets[0]
	var values []float32
	var raw []byte
	for i := range b.segments {
		s := &b.segments[i]
		step := s.chunk()
		values, raw = grow(values, step*s.width), grow(raw, step*s.width*width)
		for lo := 0; lo < s.rows; lo += step {
			hi := min(s.rows, lo+step)
			n := (hi - lo) * s.width
			if _, err := l.f.ReadAt(raw[:n*width], at); err != nil {
				return fmt.Errorf("%s: read %s: %w", l.f.Name(), b.Name, err)
			}
			at += int64(n * width)
			decode(values[:n], raw[:n*width], l.entry.DType)
			s.scatter(values[:n], lo, hi)
		}
	}
	return nil
}

// readSmall reads a whole file of at most limit bytes.
func readSmall(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%w: %s is larger than %d bytes", ErrFormat, f.Name(), limit)
	}
	return text, nil
}

// ReadTensors reads every float tensor of one safetensors file as float32, by
// name: for golden numbers and tools, not for models.
func ReadTensors(root *os.Root, file string) (map[string][]float32, error) {
	w := &weights{entries: map[string]located{}}
	defer w.close()
	if err := w.open(root, file, nil); err != nil {
		return nil, err
	}
	out := map[string][]float32{}
	for name, l := range w.entries {
		width := dtypeBytes[l.entry.DType]
		raw := make([]byte, l.entry.Offsets[1]-l.entry.Offsets[0])
		if _, err := l.f.ReadAt(raw, l.base+l.entry.Offsets[0]); err != nil {
			return nil, fmt.Errorf("%s: read %s: %w", l.f.Name(), name, err)
		}
		values := make([]float32, len(raw)/int(width))
		decode(values, raw, l.entry.DType)
		out[name] = values
	}
	return out, nil
}

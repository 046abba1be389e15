package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/ecospa/ecospa/pkg/param"
)

// WriteWeights writes the tensors as one safetensors file of the type F32, F16
// or BF16, straight from the parameters: no second copy of the weights is made.
// Tensors of 16 bits are rounded to nearest even. Weights that are stored as another type are
// widened a chunk, at most a block, at a time. A number that is not finite, or too large for
// the type, is an ErrNonFinite that names its tensor.
func WriteWeights(w io.Writer, set *param.Set, tensors []Tensor, dtype string) error {
	if !isFloat(dtype) {
		return fmt.Errorf("checkpoint: weights of type %s, expected F32, F16 or BF16", quote(dtype))
	}
	bound, err := bindAll(set, tensors)
	if err != nil {
		return err
	}
	head, _, err := header(bound, dtype)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	var b buffers
	for _, t := range bound {
		wide := t.widen(set)
		err := b.write(w, t, dtype)
		for _, block := range wide {
			set.Revert(block)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// widen widens the stored blocks of a tensor whose elements are in another order in the file,
// and lists them.
func (p *placed) widen(set *param.Set) (out []*param.Block) {
	for i := range p.segments {
		if p.segments[i].inOrder() {
			continue
		}
		for _, pc := range p.segments[i].pieces {
			if b := set.Block(pc.p.Block); b.DType() != param.F32 {
				set.Widen(b)
				out = append(out, b)
			}
		}
	}
	return out
}

// WeightsSize is the bytes that WriteWeights writes.
func WeightsSize(set *param.Set, tensors []Tensor, dtype string) (int64, error) {
	bound, err := bindAll(set, tensors)
	if err != nil {
		return 0, err
	}
	head, data, err := header(bound, dtype)
	return int64(len(head)) + data, err
}

// ReadWeights fills the set from model.safetensors of root, or from the files
// of its index, on all cores. Names that match a pattern of ignore (path.Match)
// may be there; every other missing, unexpected or misshapen tensor is listed in
// one error, before anything is read. Files are mapped into memory and let go
// chunk by chunk: no second copy of the weights is made. A number that is not
// finite is an ErrNonFinite. A set without storage (param.Layout) is given it
// once the files have been found to hold as much, so that sizes that somebody
// claims cost nothing.
func ReadWeights(root Root, set *param.Set, tensors []Tensor, ignore []string) error {
	return ReadWeightsAs(root, set, tensors, ignore, param.F32)
}

// ReadWeightsAs is ReadWeights that stores each block which can be stored so (see
// param.Set.Store) as t, as soon as it is read: only few blocks are float32 at a time.
func ReadWeightsAs(root Root, set *param.Set, tensors []Tensor, ignore []string, t param.DType) error {
	files, err := openWeights(root)
	if err != nil {
		return err
	}
	defer files.close()
	return files.fill(root.Name(), set, tensors, ignore, t)
}

// ReadFile is ReadWeights from one safetensors file of another name.
func ReadFile(root Root, file string, set *param.Set, tensors []Tensor) error {
	files := &weights{entries: map[string]located{}}
	defer files.close()
	if err := files.open(root, file, nil); err != nil {
		return err
	}
	return files.fill(filepath.Join(root.Name(), file), set, tensors, nil, param.F32)
}

// TensorNames are the names of a safetensors file's tensors, in order.
func TensorNames(root Root, file string) ([]string, error) {
	files := &weights{entries: map[string]located{}}
	defer files.close()
	if err := files.open(root, file, nil); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(files.entries)), nil
}

// fill reads the tensors of opened files into a set; from is what errors call them.
func (w *weights) fill(from string, set *param.Set, tensors []Tensor, ignore []string, t param.DType) (err error) {
	bound, err := bindAll(set, tensors)
	if err != nil {
		return err
	}
	jobs, wrong := w.match(bound, ignore)
	if len(wrong) > 0 {
		return fmt.Errorf("%w: %s: %s", ErrFormat, from, shorten(wrong, 8))
	}
	if set.Weights == nil {
		set.Weights = set.NewSlab()
		defer func() {
			if err != nil {
				set.Close()
				set.Weights = nil
			}
		}()
	}
	store := newStorer(set, t)
	if t != param.F32 { // blocks are complete, and stored, one after the other
		sort.SliceStable(jobs, func(i, j int) bool { return jobs[i].to.first() < jobs[j].to.first() })
	}
	for i := range jobs {
		store.expect(&jobs[i].to)
	}
	i, err := onAllCores(len(jobs), func() func(i int) error {
		var b buffers
		return func(i int) error {
			return guard(func() error { return errors.Join(b.read(jobs[i]), store.done(&jobs[i].to)) })
		}
	})
	if err != nil {
		return fmt.Errorf("%s: read %s: %w", jobs[i].from.file.Name(), jobs[i].name, err)
	}
	return set.StoreAll(t) // also blocks that no file holds
}

// job is one tensor that is to be read.
type job struct {
	name string // in the file
	from located
	to   placed

	of func(values []float32) []float32 // its elements of those in the file; nil where they are them
}

// match pairs the tensors with those of the files, and lists what does not fit.
func (w *weights) match(bound []placed, ignore []string) (jobs []job, wrong []string) {
	used, advice := map[string]bool{}, ""
	types := map[string][]string{} // names of tensors by the type that weights cannot have
	for _, b := range bound {
		name := w.find(append([]string{b.Name}, b.Aliases...))
		if name == "" {
			if !b.Optional {
				wrong, advice = append(wrong, "missing "+b.Name), b.IfMissing
			}
			continue
		}
		used[name] = true
		switch e := w.entries[name]; {
		case !sameShape(e.Shape, b.shape) && b.other(e.Shape) == nil:
			wrong = append(wrong, fmt.Sprintf("%s has shape %v, expected %v", quote(name), e.Shape, b.shape))
		case !isFloat(e.DType):
			types[e.DType] = append(types[e.DType], name)
		default:
			j := job{name: name, from: e, to: b}
			if !sameShape(e.Shape, b.shape) {
				j.of = b.other(e.Shape)
			}
			jobs = append(jobs, j)
		}
	}
	if len(wrong) == 1 && advice != "" {
		wrong[0] += ": " + advice
	}
	for t, names := range types {
		wrong = append(wrong, badTypes(names, t))
	}
	for name := range w.entries {
		if !used[name] && !matchesAny(name, ignore) {
			wrong = append(wrong, "unexpected "+quote(name))
		}
	}
	sort.Strings(wrong)
	return jobs, wrong
}

// badTypes says once of all tensors of a type that weights cannot have it.
func badTypes(names []string, dtype string) string {
	const expected = "expected F32, F16 or BF16"
	first := quote(slices.Min(names))
	if len(names) == 1 {
		return fmt.Sprintf("%s has type %s, %s", first, dtype, expected)
	}
	return fmt.Sprintf("%d tensors, %s first, have type %s, %s", len(names), first, dtype, expected)
}

// other is Tensor.Other of a shape.
func (p *placed) other(shape []int64) func(values []float32) []float32 {
	if p.Other == nil {
		return nil
	}
	return p.Other(shape)
}

// buffers are reused from tensor to tensor.
type buffers struct {
	values []float32
	raw    []byte
}

// write writes a tensor's elements, a chunk of rows at a time.
func (b *buffers) write(w io.Writer, t placed, dtype string) error {
	bytes, done := int(dtypeBytes[dtype]), 0
	for i := range t.segments {
		s := &t.segments[i]
		step := s.chunk()
		b.raw = grow(b.raw, step*s.width*bytes)
		for lo := 0; lo < s.rows; lo += step {
			hi := min(s.rows, lo+step)
			n := (hi - lo) * s.width
			b.values = grow(b.values, step*s.width)
			values := b.values[:n]
			if s.inOrder() {
				values = s.pieces[0].p.Floats(values, lo*s.width, hi*s.width)
			} else {
				s.gather(values, lo, hi)
			}
			raw := b.raw[:n*bytes]
			if bad := Encode(raw, values, dtype); bad >= 0 {
				return badNumber(t.Name, done+bad, values[bad], dtype)
			}
			if _, err := w.Write(raw); err != nil {
				return err
			}
			done += n
		}
	}
	return nil
}

// remake fills a tensor's parameters with what is made of the file's elements.
func (b *buffers) remake(j job) error {
	n := int(j.from.Offsets[1]-j.from.Offsets[0]) / int(dtypeBytes[j.from.DType])
	bytes := n * int(dtypeBytes[j.from.DType])
	b.raw = grow(b.raw, bytes)
	raw, err := j.from.file.View(j.from.base+j.from.Offsets[0], bytes, b.raw)
	if err != nil {
		return err
	}
	values := make([]float32, n)
	Decode(values, raw, j.from.DType)
	if bad := nonFinite(values); bad >= 0 {
		return badNumber(j.to.Name, bad, values[bad], "a model")
	}
	values = j.of(values)
	for i := range j.to.segments {
		s := &j.to.segments[i]
		part := values[:s.rows*s.width]
		if to := s.plain(0, s.rows); to != nil {
			copy(to, part)
		} else {
			s.scatter(part, 0, s.rows)
		}
		values = values[len(part):]
	}
	return nil
}

// read fills a tensor's parameters, a chunk of rows at a time.
func (b *buffers) read(j job) error {
	if j.of != nil {
		return b.remake(j)
	}
	bytes, done := int(dtypeBytes[j.from.DType]), 0
	at := j.from.base + j.from.Offsets[0]
	for i := range j.to.segments {
		s := &j.to.segments[i]
		step := s.chunk()
		for lo := 0; lo < s.rows; lo += step {
			hi := min(s.rows, lo+step)
			n := (hi - lo) * s.width
			if !j.from.file.IsMapped() {
				b.raw = grow(b.raw, step*s.width*bytes)
			}
			raw, err := j.from.file.View(at, n*bytes, b.raw)
			if err != nil {
				return err
			}
			values := s.plain(lo, hi)
			whole := values != nil
			if !whole {
				b.values = grow(b.values, step*s.width)
				values = b.values[:n]
			}
			Decode(values, raw, j.from.DType)
			if bad := nonFinite(values); bad >= 0 {
				return badNumber(j.to.Name, done+bad, values[bad], "a model")
			}
			if !whole {
				s.scatter(values, lo, hi)
			}
			j.from.file.Drop(at, n*bytes)
			at += int64(n * bytes)
			done += n
		}
	}
	return nil
}

func grow[E any](b []E, n int) []E {
	if cap(b) < n {
		return make([]E, n)
	}
	return b[:n]
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

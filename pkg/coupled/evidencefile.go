package coupled

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sort"

	"github.com/ecospa/ecospa/pkg/param"
)

// The evidence file, all numbers little-endian:
//
//	8 bytes   "ecospaEV"
//	uint32    version, EvidenceVersion
//	uint32    bytes of the header
//	header    JSON: the model's fingerprint and the options
//	payload   every statistic as float64 or float32, in a fixed order
//	32 bytes  SHA-256 of all before it
//
// The sizes of the payload follow from the model and the options, so nothing in
// the file decides how much memory reading takes.

// EvidenceVersion is the version of the evidence file.
const EvidenceVersion = 1

const (
	evidenceMagic  = "ecospaEV"
	maxHeader      = 16 << 20 // bytes of JSON
	evidencePrefix = len(evidenceMagic) + 8
)

type evidenceHeader struct {
	Model   Fingerprint   `json:"model"`
	Options storedOptions `json:"options"`
}

// storedOptions is what of Options belongs to the statistics.
type storedOptions struct {
	Interactions []Kind   `json:"interactions,omitempty"`
	Squares      bool     `json:"squares,omitempty"`
	Activations  bool     `json:"activations,omitempty"`
	Basis        bool     `json:"basis,omitempty"`
	Compensation bool     `json:"compensation,omitempty"`
	Gains        bool     `json:"gains,omitempty"`
	Scale        float64  `json:"scale,omitempty"`
	Queries      int      `json:"queries,omitempty"`
	Kinds        []string `json:"kinds,omitempty"`
	WholeLayers  bool     `json:"whole_layers,omitempty"`
}

// Save writes the evidence, to be read by LoadEvidence for the same model. What
// comes back is the same to the bit.
func (e *Evidence) Save(w io.Writer, family string, set *param.Set) error {
	o := e.options
	if o.Layers != nil {
		return fmt.Errorf("save evidence: it is of layers %v only", o.Layers)
	}
	header, err := json.Marshal(evidenceHeader{FingerprintOf(family, set), storedOptions{
		o.Interactions, o.Squares, o.Activations, o.Basis, o.Compensation, o.Gains, o.Scale, o.Queries, o.Kinds, o.WholeLayers,
	}})
	if err != nil {
		return fmt.Errorf("save evidence: %w", err)
	}
	sum := sha256.New()
	b := bufio.NewWriterSize(w, 1<<16)
	out := io.MultiWriter(b, sum)
	prefix := append([]byte(evidenceMagic), make([]byte, 8)...)
	binary.LittleEndian.PutUint32(prefix[8:], EvidenceVersion)
	binary.LittleEndian.PutUint32(prefix[12:], uint32(len(header)))
	for _, part := range [][]byte{prefix, header} {
		if _, err := out.Write(part); err != nil {
			return fmt.Errorf("save evidence: %w", err)
		}
	}
	buf := make([]byte, 1<<15)
	err = e.visit(func(f64 []float64, f32 []float32) error {
		return writeFloats(out, buf, f64, f32)
	})
	if err == nil {
		_, err = b.Write(sum.Sum(nil))
	}
	if err == nil {
		err = b.Flush()
	}
	if err != nil {
		return fmt.Errorf("save evidence: %w", err)
	}
	return nil
}

// LoadEvidence reads what Save wrote for the same model; size is the length of
// the file in bytes. product becomes Options.Product. A file of another model,
// version or size, or damaged, is an ErrEvidence.
func LoadEvidence(r io.Reader, size int64, family string, set *param.Set, product func(c []float32, n int, x []float32, rows, stride int)) (*Evidence, error) {
	sum := sha256.New()
	in := io.TeeReader(bufio.NewReaderSize(r, 1<<16), sum)
	h, read, err := readHeader(in, size)
	if err != nil {
		return nil, err
	}
	if err := h.Model.Match(family, set); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	s := h.Options
	o := Options{
		Interactions: s.Interactions, Squares: s.Squares, Activations: s.Activations, Basis: s.Basis, Compensation: s.Compensation,
		Gains: s.Gains, Kinds: s.Kinds, Scale: s.Scale, Queries: s.Queries, Product: product, WholeLayers: s.WholeLayers,
	}
	if o.Queries < 0 || o.Queries > 1<<20 || math.IsNaN(o.Scale) {
		return nil, fmt.Errorf("%w: its options make no sense: %+v", ErrEvidence, s)
	}
	for _, k := range o.Interactions {
		if !k.valid() {
			return nil, fmt.Errorf("%w: its options name an unknown kind %q", ErrEvidence, k)
		}
	}
	more, err := o.statistics(set)
	if err != nil {
		return nil, err
	}
	if want := int64(read) + payload(set, o) + bytesOf(more) + sha256.Size; size != want {
		return nil, fmt.Errorf("%w: the file has %d bytes, expected %d", ErrEvidence, size, want)
	}
	e := NewEvidence(set, o)
	buf := make([]byte, 1<<15)
	if err := e.visit(func(f64 []float64, f32 []float32) error { return readFloats(in, buf, f64, f32) }); err != nil {
		e.Close()
		return nil, fmt.Errorf("%w: read evidence: %w", ErrEvidence, err)
	}
	have := sum.Sum(nil)
	want := make([]byte, sha256.Size)
	if _, err := io.ReadFull(in, want); err != nil || !bytes.Equal(have, want) {
		e.Close()
		return nil, fmt.Errorf("%w: the file is damaged: its checksum does not match", ErrEvidence)
	}
	return e, nil
}

// readHeader reads up to the payload and returns the bytes read.
func readHeader(in io.Reader, size int64) (h evidenceHeader, read int, err error) {
	prefix := make([]byte, evidencePrefix)
	if _, err := io.ReadFull(in, prefix); err != nil || string(prefix[:8]) != evidenceMagic {
		return h, 0, fmt.Errorf("%w: the file is not an evidence file", ErrEvidence)
	}
	if v := binary.LittleEndian.Uint32(prefix[8:]); v != EvidenceVersion {
		return h, 0, fmt.Errorf("%w: the file has version %d, expected %d", ErrEvidence, v, EvidenceVersion)
	}
	n := int64(binary.LittleEndian.Uint32(prefix[12:]))
	if n > maxHeader || n > size {
		return h, 0, fmt.Errorf("%w: the file's header says %d bytes, the file has %d", ErrEvidence, n, size)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(in, text); err != nil {
		return h, 0, fmt.Errorf("%w: read header: %w", ErrEvidence, err)
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, 0, fmt.Errorf("%w: read header: %w", ErrEvidence, err)
	}
	return h, evidencePrefix + int(n), nil
}

// Bytes is the memory of the statistics.
func (e *Evidence) Bytes() (n int64) {
	e.visit(func(f64 []float64, f32 []float32) error {
		n += 8*int64(len(f64)) + 4*int64(len(f32))
		return nil
	})
	for _, s := range e.sites {
		for _, m := range s.moments() {
			n += 4 * int64(m.most*len(m.sum))
		}
	}
	return n
}

// visit calls each for every statistic, scalars as slices of one, in the fixed
// order of the file. What each writes into the slices becomes the evidence.
func (e *Evidence) visit(each func(f64 []float64, f32 []float32) error) error {
	var err error
	scalar := func(x *float64) {
		if err == nil {
			v := []float64{*x}
			err = each(v, nil)
			*x = v[0]
		}
	}
	f64 := func(x []float64) {
		if err == nil {
			err = each(x, nil)
		}
	}
	f32 := func(x []float32) {
		if err == nil {
			err = each(nil, x)
		}
	}
	var dims []string
	for dim := range e.gates {
		dims = append(dims, dim)
	}
	sort.Strings(dims)
	for _, dim := range dims {
		s := e.gates[dim]
		scalar(&s.weight)
		f64(s.sum)
		f64(s.square)
		for _, m := range s.inter {
			f64(m)
		}
	}
	for _, n := range e.layers() {
		for _, m := range e.sites[n].moments() {
			scalar(&m.weight)
			f64(m.sum)
			f64(m.square)
			for _, g := range m.gram {
				f32(g)
			}
		}
		if s := e.sites[n].scores; s != nil {
			scalar(&s.weight)
			for _, g := range s.gram {
				f32(g)
			}
		}
	}
	scalar(&e.gradients)
	if e.Squares != nil {
		f32(e.Squares.Data)
	}
	for _, m := range e.more {
		if err == nil {
			err = m.Visit(each)
		}
	}
	return err
}

// bytesOf is the bytes of registered kinds in the file.
func bytesOf(more []*Statistic) (n int64) {
	for _, m := range more {
		_ = m.Visit(func(f64 []float64, f32 []float32) error { // counting cannot fail
			n += 8*int64(len(f64)) + 4*int64(len(f32))
			return nil
		})
	}
	return n
}

func writeFloats(w io.Writer, buf []byte, f64 []float64, f32 []float32) error {
	for len(f64) > 0 || len(f32) > 0 {
		b := buf[:0]
		for len(f64) > 0 && len(b) <= len(buf)-8 {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f64[0]))
			f64 = f64[1:]
		}
		for len(f32) > 0 && len(b) <= len(buf)-8 {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f32[0]))
			f32 = f32[1:]
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func readFloats(r io.Reader, buf []byte, f64 []float64, f32 []float32) error {
	for len(f64) > 0 || len(f32) > 0 {
		n := min(len(f64)*8+len(f32)*4, len(buf))
		b := buf[:n]
		if _, err := io.ReadFull(r, b); err != nil {
			return err
		}
		for ; len(f64) > 0 && len(b) >= 8; b = b[8:] {
			f64[0] = math.Float64frombits(binary.LittleEndian.Uint64(b))
			if math.IsNaN(f64[0]) || math.IsInf(f64[0], 0) {
				return fmt.Errorf("a statistic is %g", f64[0])
			}
			f64 = f64[1:]
		}
		for ; len(f32) > 0 && len(b) >= 4; b = b[4:] {
			f32[0] = math.Float32frombits(binary.LittleEndian.Uint32(b))
			if x := float64(f32[0]); math.IsNaN(x) || math.IsInf(x, 0) {
				return fmt.Errorf("a statistic is %g", x)
			}
			f32 = f32[1:]
		}
	}
	return nil
}

// payload is the bytes between header and checksum for a model and options.
func payload(set *param.Set, o Options) int64 {
	f64, f32 := 1, 0 // weight of the squares
	if o.Squares {
		f32 = set.Len()
	}
	layers := map[int]bool{}
	moments := func(cols, blocks int) {
		f64 += 1 + 2*cols
		if blocks > 0 {
			f32 += cols / blocks * cols
		}
	}
	for _, g := range o.groups(set) {
		n := g.Lists * g.Units
		f64 += 1 + 2*n
		if hasKind(o.Interactions, g.Kind) {
			f64 += n * g.Units
		}
		if layers[g.Layer] {
			continue
		}
		layers[g.Layer] = true
		s := newSite(set, g.Layer, Options{}) // sizes alone
		h, d := s.heads*s.group, s.qk*s.pair
		basis := o.Basis && !s.rope
		if (o.Activations || basis) && d > 0 {
			moments(h*d, when(basis, h))
		}
		if basis && d > 0 {
			moments(s.heads*d, s.heads)
		}
		if (o.Activations || o.Basis || o.Compensation) && s.vo > 0 {
			blocks := when(o.Basis, h)
			if o.Compensation {
				blocks = 1
			}
			moments(h*s.vo, blocks)
		}
		if f := set.LayerDim(g.Layer, param.FFN).Size; (o.Activations || o.Compensation) && f > 0 {
			moments(f, when(o.Compensation, 1))
		}
		if o.Gains && s.rope && d > 0 {
			f64++
			f32 += h * 4 * s.qk * s.qk
		}
	}
	return 8*int64(f64) + 4*int64(f32)
}

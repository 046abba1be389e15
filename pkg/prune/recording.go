package prune

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/coupled"
)

// recording keeps the activations that refits read as the pass that gathers evidence shows
// them, in a file a layer, so that second moments need no pass of their own. It is for
// calibrations of so few tokens that moments are these rows (coupled.KeepsRows).
type recording struct {
	data  Sequences
	parts []int // sequences of each batch so far
	files []*os.File
	sites map[string]place
}

// place is where a site's rows are written: each batch is the site's number in its layer and
// [sequences*context, cols] float32.
type place struct {
	layer int
	tag   byte
	cols  int
	to    *bufio.Writer
}

// records reports whether the pass over these sequences records: where several phases need moments
// of all of them, by their rows, and the directory has room.
func (p *Job) records(gather Sequences) (bool, error) {
	c := p.Calibration
	c.Data = gather
	if !p.stores() || p.Checkpoint != "" || p.Evidence != nil || p.EvidenceFile != "" || p.group().Size() > 1 || c.enough().Len() != gather.Len() || !coupled.KeepsRows(widest(p.Set), gather.tokens()) {
		return false, nil
	}
	var bytes int64
	for layer := range p.Set.Layers() {
		e := coupled.NewEvidence(p.Set, c.momentOptions(p.Improve, layer))
		for _, s := range e.Sites() {
			bytes += 4 * int64(gather.tokens()) * int64(s.Cols)
		}
		e.Close()
	}
	room, err := p.room(p.Scratch, bytes)
	return room < 0, err
}

// freeSpace is what a file system says is left; tests have other disks.
var freeSpace = checkpoint.Free

// room is 0 or more, the bytes that are free, where a directory is too full for so many and the
// result.
func (p *Job) room(dir string, bytes int64) (free int64, err error) {
	free, known, err := freeSpace(dir)
	if err != nil || !known || free >= bytes+bytes/8+4*p.Set.WeightBytes()/3 {
		return -1, err
	}
	return free, nil
}

// record makes the recording of a pass over these sequences, nil where there is none.
func (p *Job) record(gather Sequences) (*recording, error) {
	if yes, err := p.records(gather); err != nil || !yes {
		return nil, err
	}
	c := p.Calibration
	c.Data = gather
	r := &recording{data: gather, sites: map[string]place{}}
	for layer := range p.Set.Layers() {
		f, err := os.CreateTemp(p.Scratch, ".activations-*")
		if err != nil {
			r.Close()
			return nil, err
		}
		_ = os.Remove(f.Name()) // where an open file cannot be unlinked, Close removes it
		r.files = append(r.files, f)
		to := bufio.NewWriterSize(f, 1<<18)
		e := coupled.NewEvidence(p.Set, c.momentOptions(p.Improve, layer))
		for i, s := range e.Sites() {
			r.sites[s.Name] = place{layer, byte(i), s.Cols, to}
		}
		e.Close()
	}
	return r, nil
}

// add writes the rows of a site.
func (r *recording) add(name string, x []float32) error {
	at, ok := r.sites[name]
	if !ok {
		return nil
	}
	if err := at.to.WriteByte(at.tag); err != nil {
		return err
	}
	for len(x) > 0 {
		buf := at.to.AvailableBuffer()
		n := min(len(x), cap(buf)/4)
		if n == 0 {
			if err := at.to.Flush(); err != nil {
				return err
			}
			continue
		}
		for _, v := range x[:n] {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		if _, err := at.to.Write(buf); err != nil {
			return err
		}
		x = x[n:]
	}
	return nil
}

// end completes the files.
func (r *recording) end() error {
	for _, at := range r.sites {
		if err := at.to.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// replay shows evidence of a layer what was recorded of it.
func (r *recording) replay(layer int, e *coupled.Evidence) error {
	if _, err := r.files[layer].Seek(0, io.SeekStart); err != nil {
		return err
	}
	in := bufio.NewReaderSize(r.files[layer], 1<<20)
	sites := e.Sites()
	batch, first := make([]int, len(sites)), make([]int, len(sites))
	var raw []byte
	var x []float32
	for {
		tag, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || int(tag) >= len(sites) || batch[tag] >= len(r.parts) {
			return fmt.Errorf("prune: the activations recorded of layer %d: %w", layer, errors.Join(err, io.ErrUnexpectedEOF))
		}
		n := r.parts[batch[tag]]
		part := r.data.slice(first[tag], first[tag]+n)
		batch[tag], first[tag] = batch[tag]+1, first[tag]+n
		if size := n * r.data.Context * sites[tag].Cols; cap(x) < size {
			x, raw = make([]float32, size), make([]byte, 4*size)
		} else {
			x, raw = x[:size], raw[:4*size]
		}
		if _, err := io.ReadFull(in, raw); err != nil {
			return fmt.Errorf("prune: the activations recorded of layer %d: %w", layer, err)
		}
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		if err := e.ObserveDocuments(sites[tag].Name, x, n, r.data.Context, part.Starts); err != nil {
			return err
		}
	}
}

// Close gives the files up.
func (r *recording) Close() {
	if r == nil {
		return
	}
	for _, f := range r.files {
		f.Close()
		_ = os.Remove(f.Name()) // gone already where it could be unlinked
	}
	r.files = nil
}

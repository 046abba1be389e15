package prune

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"

	"github.com/ecospa/ecospa/pkg/coupled"
)

// activations is how files of a store hold rows of activations as the pass that gathers evidence
// shows them, so that second moments need no pass of their own. It is for calibrations of so few
// tokens that moments are these rows (coupled.KeepsRows).
type activations struct {
	data  Sequences
	parts []int // sequences of each batch so far
	sites map[string]recorder
}

// recorder writes a site's rows: each batch is the site's number in its layer, a byte, and
// [sequences*context, columns] float32.
type recorder struct {
	tag byte
	to  *bufio.Writer
}

// recordingStore is a store for a pass over the sequences of the calibration.
func (c *Calibration) recordingStore(dir string, improve coupled.Improve) (*store, error) {
	s := newStore(dir, "activations", false)
	s.rows = &activations{data: c.Data, sites: map[string]recorder{}}
	for layer := range c.Set.Layers() {
		f, err := s.create()
		if err != nil {
			s.Close()
			return nil, err
		}
		s.files[layer] = f
		s.rows.expect(f, c.momentSites(improve, layer))
	}
	return s, nil
}

// momentSites are the activations that second moments of a layer come from.
func (c *Calibration) momentSites(improve coupled.Improve, layer int) []coupled.Site {
	e := coupled.NewEvidence(c.Set, c.momentOptions(improve, layer))
	defer e.Close()
	return e.Sites()
}

// expect has rows of a layer's sites written to its file.
func (a *activations) expect(f *os.File, sites []coupled.Site) {
	to := bufio.NewWriterSize(f, 1<<18)
	for i, s := range sites {
		a.sites[s.Name] = recorder{byte(i), to}
	}
}

// add writes the rows of a site; others than those of momentSites are passed by.
func (a *activations) add(name string, x []float32) error {
	at, ok := a.sites[name]
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

// flush completes the files.
func (a *activations) flush() error {
	for _, at := range a.sites {
		if err := at.to.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// replay shows evidence of a layer what was recorded of it.
func (a *activations) replay(in *bufio.Reader, e *coupled.Evidence) error {
	sites := e.Sites()
	batch, first := make([]int, len(sites)), make([]int, len(sites))
	var raw []byte
	var x []float32
	for {
		tag, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if int(tag) >= len(sites) || batch[tag] >= len(a.parts) {
			return errors.New("the file holds something else than was written")
		}
		n := a.parts[batch[tag]]
		part := a.data.slice(first[tag], first[tag]+n)
		batch[tag], first[tag] = batch[tag]+1, first[tag]+n
		if size := n * a.data.Context * sites[tag].Cols; cap(x) < size {
			x, raw = make([]float32, size), make([]byte, 4*size)
		} else {
			x, raw = x[:size], raw[:4*size]
		}
		if _, err := io.ReadFull(in, raw); err != nil {
			return err
		}
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		if err := e.ObserveDocuments(sites[tag].Name, x, n, a.data.Context, part.Starts); err != nil {
			return err
		}
	}
}

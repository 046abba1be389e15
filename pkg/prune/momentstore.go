package prune

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/pkg/coupled"
)

// momentStore keeps the second moments of layers on disk, so that trial cuts, the comparison
// of plans and the refit share one pass: writing and reading them is far cheaper than a
// forward pass, and memory has one layer's at a time.
type momentStore struct {
	dir      string
	name     string           // of files, before the layer's number
	keep     bool             // files stay for a process that goes on later
	open     map[int]*os.File // of layers; nil of layers that nobody asked for
	recorded *recording       // has all layers; nil where moments are stored one by one
}

// newMomentStore keeps moments in a directory that is there. Without keep nothing is left of
// them, however the process ends, where the system can unlink open files.
func newMomentStore(dir, name string, keep bool) *momentStore {
	return &momentStore{dir: dir, name: name, keep: keep, open: map[int]*os.File{}}
}

func (s *momentStore) path(layer int) string {
	return filepath.Join(s.dir, fmt.Sprintf("%s-%05d", s.name, layer))
}

// has reports whether a layer has been stored, or passed by.
func (s *momentStore) has(layer int) bool {
	_, ok := s.open[layer]
	return ok || s.recorded != nil
}

// all reports whether the moments of layers 0 to n are there.
func (s *momentStore) all(n int) bool {
	for layer := range n {
		if s == nil || s.open[layer] == nil {
			return false
		}
	}
	return n > 0
}

// skip notes a layer that nobody asked for.
func (s *momentStore) skip(layer int) {
	if !s.has(layer) {
		s.open[layer] = nil
	}
}

// find opens what an earlier process kept of layers 0 to n.
func (s *momentStore) find(n int) {
	for layer := range n {
		if f, err := os.Open(s.path(layer)); err == nil {
			s.open[layer] = f
		}
	}
}

// openStore makes the store of second moments for the model as it is now, where several
// phases need them and there is room.
func (p *Job) openStore() error {
	r := p.recording
	p.recording = nil
	p.store.Close()
	p.store = nil
	if r != nil {
		p.store = &momentStore{recorded: r}
		return r.end()
	}
	if !p.stores() || p.group().Rank() != 0 {
		return nil
	}
	dir, keep := p.Scratch, p.Checkpoint != ""
	if keep {
		dir = p.Checkpoint
	}
	var bytes int64
	c := p.Calibration
	c.Data, _, _ = p.split()
	for layer := range p.Set.Layers() {
		e := coupled.NewEvidence(p.Set, c.momentOptions(p.Improve, layer))
		bytes += e.MomentBytes()
		e.Close()
	}
	if free, err := p.room(dir, bytes); err != nil || free >= 0 && !keep {
		if err == nil {
			p.tell(NoRoom{dir, bytes, free})
		}
		return err
	}
	name := "moments"
	if coupled.KeepsRows(widest(p.Set), c.enough().tokens()) {
		name = "rows" // which an earlier version did not keep
	}
	p.store = newMomentStore(dir, name, keep)
	if keep {
		p.store.find(p.Set.Layers())
	}
	return nil
}

// closeStore gives up what a round kept on disk.
func (p *Job) closeStore() {
	p.recording.Close()
	p.store.Close()
	p.recording, p.store = nil, nil
}

// stores reports whether several phases need second moments and a directory is given for them.
func (p *Job) stores() bool {
	_, o := p.Improve.Options(0)
	several := needsLoss(p.Config.Allocation) || p.Config.ByRefit(p.Improve)
	return o.Compensation && several && !p.Uncoupled && (p.Scratch != "" || p.Checkpoint != "")
}

// save stores a layer's moments, completely or not at all.
func (s *momentStore) save(layer int, e *coupled.Evidence) (err error) {
	f, err := os.CreateTemp(s.dir, ".moments-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := e.SaveMoments(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if s.keep {
		if err := os.Rename(f.Name(), s.path(layer)); err != nil {
			return err
		}
	} else {
		_ = os.Remove(f.Name()) // where an open file cannot be unlinked, Close removes it
	}
	s.open[layer] = f
	return nil
}

// load reads a layer's moments into evidence of that layer.
func (s *momentStore) load(layer int, e *coupled.Evidence) error {
	if s.recorded != nil {
		return s.recorded.replay(layer, e)
	}
	f := s.open[layer]
	if f == nil {
		return fmt.Errorf("prune: the second moments of layer %d were not kept", layer)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return err
	}
	return e.LoadMoments(bufio.NewReaderSize(f, 1<<20))
}

// Close gives the files up.
func (s *momentStore) Close() {
	if s == nil {
		return
	}
	for _, f := range s.open {
		if f != nil {
			f.Close()
			if !s.keep {
				_ = os.Remove(f.Name()) // gone already where it could be unlinked
			}
		}
	}
	clear(s.open)
	s.recorded.Close()
}

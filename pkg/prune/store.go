package prune

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/pkg/coupled"
)

// store keeps on disk what refits read of each layer, a file a layer, so that the order of
// channels, trial cuts, the comparison of plans and the refit share one pass: writing and
// reading are far cheaper than a forward pass, and memory has one layer's at a time. Files hold
// second moments, or the rows of activations that these come from. nil has no layers.
type store struct {
	dir   string
	name  string           // of files, before the layer's number
	keep  bool             // files stay for a process that goes on later
	files map[int]*os.File // of layers
	rows  *activations     // says what the files hold; nil where they hold moments
}

// newStore keeps moments in a directory that is there. Without keep nothing is left of them,
// however the process ends, where the system can unlink open files.
func newStore(dir, name string, keep bool) *store {
	return &store{dir: dir, name: name, keep: keep, files: map[int]*os.File{}}
}

func (s *store) path(layer int) string {
	return filepath.Join(s.dir, fmt.Sprintf("%s-%05d", s.name, layer))
}

// has reports whether layers lo to hi are there.
func (s *store) has(lo, hi int) bool {
	for layer := lo; layer <= hi; layer++ {
		if s == nil || s.files[layer] == nil {
			return false
		}
	}
	return true
}

// recorded is the rows of activations that the store takes, nil where it takes none.
func (s *store) recorded() *activations {
	if s == nil {
		return nil
	}
	return s.rows
}

// find opens what an earlier process kept of so many layers.
func (s *store) find(layers int) {
	for layer := range layers {
		if f, err := os.Open(s.path(layer)); err == nil {
			s.files[layer] = f
		}
	}
}

// create makes a file of a layer that is not there yet.
func (s *store) create() (*os.File, error) {
	f, err := os.CreateTemp(s.dir, "."+s.name+"-*")
	if err == nil && !s.keep {
		_ = os.Remove(f.Name()) // where an open file cannot be unlinked, Close removes it
	}
	return f, err
}

// save stores a layer's moments, completely or not at all.
func (s *store) save(layer int, e *coupled.Evidence) (err error) {
	f, err := s.create()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
			_ = os.Remove(f.Name()) // gone already where it could be unlinked
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
	}
	s.files[layer] = f
	return nil
}

// load reads a layer, which is there, into evidence of that layer.
func (s *store) load(layer int, e *coupled.Evidence) error {
	if _, err := s.files[layer].Seek(0, 0); err != nil {
		return err
	}
	in := bufio.NewReaderSize(s.files[layer], 1<<20)
	if s.rows == nil {
		return e.LoadMoments(in)
	}
	if err := s.rows.replay(in, e); err != nil {
		return fmt.Errorf("prune: the activations recorded of layer %d: %w", layer, err)
	}
	return nil
}

// Close gives the files up.
func (s *store) Close() {
	if s == nil {
		return
	}
	for _, f := range s.files {
		f.Close()
		if !s.keep {
			_ = os.Remove(f.Name()) // gone already where it could be unlinked
		}
	}
	clear(s.files)
}

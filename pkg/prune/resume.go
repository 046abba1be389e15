package prune

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/coupled"
)

// A checkpoint directory holds what a calibration has found so far, so that one that was
// interrupted goes on: the moments that the basis came from, the evidence of the sequences
// that were seen, second moments of layers, losses of trial cuts. What comes out is what an
// uninterrupted one gives, to the bit.
//
//	calibration.json       what the calibration is: another one is refused
//	basis-N, moments-N     second moments of a layer (store); rows-N what they are of
//	evidence.json          how many sequences were seen, and in which files their evidence is
//	losses-NxT.json        of trial cuts on N sequences of T tokens; held-NxT.json of plans

// calibrationState is calibration.json.
type calibrationState struct {
	Version int    `json:"version"`
	Of      string `json:"of"` // SHA-256 of what decides the result
}

// evidenceState is evidence.json.
type evidenceState struct {
	Sequences int    `json:"sequences"`
	Evidence  string `json:"evidence"`
	Half      string `json:"half,omitempty"`
}

// saveEvery is how often a long pass saves its evidence.
const saveEvery = time.Minute

// openCheckpoint prepares the directory, or refuses that of another calibration.
func (p *Job) openCheckpoint() error {
	if p.Checkpoint == "" {
		return nil
	}
	if p.Rounds > 1 || p.group().Size() > 1 {
		return fault.Usage(errors.New("--checkpoint works with one round in one process only"))
	}
	if err := os.MkdirAll(p.Checkpoint, 0o755); err != nil {
		return err
	}
	sum := sha256.New()
	err := json.NewEncoder(sum).Encode(map[string]any{
		"model": coupled.FingerprintOf(p.Model.Family(), p.Set), "config": p.Config, "improve": p.Improve, "data": p.Data, "trial": p.Trial,
		"batch": p.Calibration.batch(), "enough": p.Enough, "promise": p.Promise, "weights": p.Set.WeightBytes(), "first": p.firstWeights(),
	})
	if err != nil {
		return err
	}
	want := calibrationState{1, hex.EncodeToString(sum.Sum(nil))}
	var have calibrationState
	switch err := p.readState("calibration.json", &have); {
	case errors.Is(err, fs.ErrNotExist):
		return p.writeState("calibration.json", want)
	case err != nil:
		return err
	case have != want:
		return fault.BadInput(fmt.Errorf("%s holds the calibration of another model, data, target or settings; remove it or give another directory", p.Checkpoint))
	}
	return nil
}

// firstWeights are some weights of each parameter, to tell models of one shape apart.
func (p *Job) firstWeights() (out []float32) {
	buf := make([]float32, 32)
	for _, q := range p.Set.Params {
		out = append(out, q.Floats(buf, 0, min(32, q.Size()))...)
	}
	return out
}

func (p *Job) readState(name string, to any) error {
	path := filepath.Join(p.Checkpoint, name)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fault.BadInput(fmt.Errorf("%s: %w", path, err))
	}
	return nil
}

func (p *Job) writeState(name string, x any) error {
	text, err := json.Marshal(x)
	if err != nil {
		return err
	}
	return checkpoint.WriteFile(filepath.Join(p.Checkpoint, name), text)
}

// resumeEvidence takes up the evidence of an earlier process, and has that of this one saved
// now and then.
func (p *Job) resumeEvidence(g *gathering) error {
	if p.Checkpoint == "" {
		return nil
	}
	var s evidenceState
	err := p.readState("evidence.json", &s)
	if err == nil {
		err = p.loadEvidence(g, s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	last := time.Now()
	g.saved = func(g *gathering) error {
		if time.Since(last) < saveEvery && g.done < g.c.Data.Len() && g.c.stopped() == nil && g.done%compareEvery != 0 {
			return nil
		}
		last = time.Now()
		return p.saveEvidence(g)
	}
	return nil
}

func (p *Job) loadEvidence(g *gathering, s evidenceState) error {
	read := func(name string, e **coupled.Evidence) error {
		path := filepath.Join(p.Checkpoint, filepath.Base(name))
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		got, err := coupled.LoadEvidence(f, st.Size(), p.Model.Family(), p.Set, g.c.product())
		if err != nil {
			return fault.BadInput(fmt.Errorf("%s: %w", path, err))
		}
		got.Sees = (*e).Sees
		(*e).Close()
		*e = got
		return nil
	}
	if err := read(s.Evidence, &g.e); err != nil {
		return err
	}
	if g.half != nil {
		if err := read(s.Half, &g.half); err != nil {
			return err
		}
	}
	g.done = s.Sequences
	p.tell(Continued{s.Sequences})
	return nil
}

// saveEvidence saves what has been seen; files of earlier times go when it is complete.
func (p *Job) saveEvidence(g *gathering) error {
	var old evidenceState
	had := p.readState("evidence.json", &old) == nil
	s := evidenceState{Sequences: g.done, Evidence: fmt.Sprintf("evidence-%d", g.done)}
	if err := writeEvidence(filepath.Join(p.Checkpoint, s.Evidence), g.e, p.Model, p.Set); err != nil {
		return err
	}
	if g.half != nil {
		s.Half = fmt.Sprintf("half-%d", g.done)
		if err := writeEvidence(filepath.Join(p.Checkpoint, s.Half), g.half, p.Model, p.Set); err != nil {
			return err
		}
	}
	if err := p.writeState("evidence.json", s); err != nil {
		return err
	}
	if had && old.Sequences != g.done {
		for _, name := range []string{old.Evidence, old.Half} {
			if name != "" {
				_ = os.Remove(filepath.Join(p.Checkpoint, filepath.Base(name))) // a file too many does no harm
			}
		}
	}
	return nil
}

// resumeLosses takes up losses of cuts on such data, and saves those that are measured.
func (p *Job) resumeLosses(t *Trials, data Sequences, held bool) error {
	if p.Checkpoint == "" {
		return nil
	}
	name := "losses"
	if held {
		name = "held"
	}
	name = fmt.Sprintf("%s-%dx%d.json", name, data.Len(), data.Context)
	t.Known = map[string]float64{}
	if err := p.readState(name, &t.Known); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	t.saved = func() error { return p.writeState(name, t.Known) }
	return nil
}

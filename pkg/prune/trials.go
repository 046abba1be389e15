package prune

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"runtime"
	"slices"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/param"
)

// trial is one cut whose loss is measured.
type trial struct {
	cut         param.Cut
	first, last int     // layers that it touches
	stream      *stream // of the cut model, after its first layer; nil before
	loss        float64
}

// Trials measures losses of cuts, each improved as it would be when carried out.
//
// All of them share one pass of the uncut model, layer by layer: at each layer its second
// moments are gathered, the cuts that touch it are tried, and the moments are given up. A cut
// of one layer runs from the inputs of that layer on; one of several takes its own stream
// through the layers between.
type Trials struct {
	Calibration                   // that the moments are gathered from
	Improve     coupled.Improve   // what goes along with each cut
	Scores      *coupled.Evidence // has what gains need; may be nil without
	Known       map[string]float64
	Runs        int // cuts measured

	saved func() error // is called after every layer; may be nil
}

// Losses are the losses of the cuts, in nats a prediction, on data; the weights come back as
// they were, to the bit.
func (t *Trials) Losses(cuts []param.Cut, data Sequences) ([]float64, error) {
	out := make([]float64, len(cuts))
	var wanted []*trial
	at := map[*trial]int{}
	for i, cut := range cuts {
		if x, ok := t.Known[key(cut)]; ok {
			out[i] = x
			continue
		}
		tr := &trial{cut: cut, first: coupled.FirstLayer(t.Set, cut), last: lastLayer(t.Set, cut)}
		wanted, at[tr] = append(wanted, tr), i
	}
	if err := t.measure(wanted, data); err != nil {
		return nil, err
	}
	for _, tr := range wanted {
		out[at[tr]] = tr.loss
	}
	return out, nil
}

// key names a cut in Known.
func key(cut param.Cut) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(cut))) // dimensions come sorted
	return hex.EncodeToString(sum[:])
}

// measure makes one pass through the layers.
func (t *Trials) measure(trials []*trial, data Sequences) (err error) {
	last, starts := -1, -1 // the last layer that is touched, the last at which a trial begins
	for _, tr := range trials {
		last, starts = max(last, tr.last), max(starts, tr.first)
		defer func() { tr.stream.Close() }()
	}
	dense := t.newStream(data)
	defer dense.Close()
	for _, tr := range trials {
		if tr.first < 0 { // the whole model
			if tr.loss, err = dense.loss(); err != nil {
				return err
			}
			t.ran(tr)
		}
	}
	moments := t.newMoments(t.Improve, t.Scores, last)
	defer moments.Close()
	for layer := 0; layer <= last; layer++ {
		if err := t.layer(layer, trials, dense, moments); err != nil {
			return err
		}
		if layer < starts {
			if err := dense.step(nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// layer takes all trials through a layer.
func (t *Trials) layer(layer int, trials []*trial, dense *stream, moments *moments) error {
	var here []*trial
	for _, tr := range trials {
		if len(layerCut(t.Set, tr.cut, layer)) > 0 {
			here = append(here, tr)
		} else if tr.stream != nil {
			if err := tr.stream.step(nil); err != nil {
				return err
			}
		}
	}
	e, err := moments.of(layer, slices.ContainsFunc(here, func(tr *trial) bool { return !tr.cut.Removes(layer) }))
	if err != nil {
		return err
	}
	if e != nil {
		defer runtime.GC() // a layer's moments may be a gigabyte: two layers' must not be there
		defer e.Close()
	}
	for _, tr := range here {
		if err := t.try(tr, layer, dense, e); err != nil {
			return fmt.Errorf("layer %d: %w", layer, err)
		}
	}
	if t.saved != nil && len(here) > 0 {
		return t.saved()
	}
	return nil
}

// try takes a trial through a layer that it cuts, and from its last one on to the loss.
func (t *Trials) try(tr *trial, layer int, dense *stream, e *coupled.Evidence) error {
	if tr.cut.Removes(layer) {
		return t.pass(tr, layer, dense)
	}
	s := tr.stream
	switch {
	case s == nil && tr.last == layer:
		s = dense // it stays where it is
	case s == nil:
		tr.stream = dense.fork()
		s = tr.stream
	}
	err := t.Improve.Try(t.Set, e, layerCut(t.Set, tr.cut, layer), func() (err error) {
		if tr.last > layer {
			return s.step(nil)
		}
		tr.loss, err = s.loss()
		return err
	})
	if err != nil || tr.last > layer {
		return err
	}
	tr.stream.Close()
	tr.stream = nil
	t.ran(tr)
	return nil
}

// pass takes a trial past a layer that it removes.
func (t *Trials) pass(tr *trial, layer int, dense *stream) (err error) {
	if tr.stream == nil {
		tr.stream = dense.fork()
	}
	if err = tr.stream.skip(); err != nil || tr.last > layer {
		return err
	}
	if tr.loss, err = tr.stream.loss(); err != nil {
		return err
	}
	tr.stream.Close()
	tr.stream = nil
	t.ran(tr)
	return nil
}

// ran notes a loss.
func (t *Trials) ran(tr *trial) {
	t.Runs++
	if t.Known != nil && !math.IsNaN(tr.loss) && !math.IsInf(tr.loss, 0) {
		t.Known[key(tr.cut)] = tr.loss
	}
}

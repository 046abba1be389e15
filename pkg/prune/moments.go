package prune

import (
	"runtime"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/param"
)

// Second moments are taken from perColumn tokens for each column of the widest activation, and
// from leastTokens at least: tokens of a text are much alike, and with a few texts a refit of a
// narrow model follows them and not the language (docs/results/quality.md).
const (
	perColumn   = 4
	leastTokens = 32768
)

// moments gathers the second moments of one layer's activations after the other, as a
// stream of sequences passes through the layers of the uncut model.
type moments struct {
	c       *Calibration
	improve coupled.Improve
	scores  *coupled.Evidence // where gains read the attention scores; nil for nowhere
	stream  *stream           // nil where no refit needs moments
	until   int               // the last layer that is asked for
	store   *store            // keeps them for the next pass; nil for none
}

// newMoments prepares a pass over the sequences of the calibration that determine the moments.
func (c *Calibration) newMoments(improve coupled.Improve, scores *coupled.Evidence, until int) *moments {
	m := &moments{c: c, improve: improve, scores: scores, until: until, store: c.store}
	if _, o := improve.Options(0); o.Compensation {
		m.stream = c.newStream(c.enough())
	}
	return m
}

func (m *moments) Close() { m.stream.Close() }

// of is the evidence that improves cuts of a layer, nil where nothing is improved; layers are
// asked for one after the other. wanted false skips the layer. The caller closes what it gets.
func (m *moments) of(layer int, wanted bool) (*coupled.Evidence, error) {
	var e *coupled.Evidence
	if wanted && (m.stream != nil || m.scores != nil) {
		e = coupled.NewEvidence(m.c.Set, m.c.momentOptions(m.improve, layer))
	}
	if m.stream != nil && layer <= m.until {
		if err := m.gather(layer, e); err != nil {
			return nil, err
		}
	}
	if e != nil && m.scores != nil {
		e.UseScores(m.scores)
	}
	return e, nil
}

// momentOptions is what the evidence for refits of a layer gathers.
func (c *Calibration) momentOptions(improve coupled.Improve, layer int) coupled.Options {
	o := coupled.Options{Layers: []int{layer}, Product: c.product(), Pool: c.Pool}
	if _, wanted := improve.Options(0); wanted.Compensation {
		o.Compensation = improve.Compensate == coupled.CompensateLSQ
		o.Activations = !o.Compensation // means are all that a bias needs
		o.Tokens = c.enough().tokens()
	}
	return o
}

// gather fills the evidence of a layer, nil for one that nobody asks for: from the store, or
// by running the layer, where it or a later one is not stored. A store gets every layer that runs.
func (m *moments) gather(layer int, e *coupled.Evidence) error {
	stored := m.store.has(layer, layer)
	if stored && e != nil {
		if err := m.store.load(layer, e); err != nil {
			return err
		}
		e = nil
	}
	if m.store.has(layer, m.until) {
		return nil
	}
	if e == nil && m.store != nil && !stored { // a later phase may ask for it
		e = coupled.NewEvidence(m.c.Set, m.c.momentOptions(m.improve, layer))
		defer runtime.GC() // as in Trials.layer
		defer e.Close()
	}
	if err := m.stream.step(e); err != nil || m.store == nil || e == nil {
		return err
	}
	return m.store.save(layer, e)
}

// enough is the sequences, batches of them evenly spread, that determine second moments.
func (c *Calibration) enough() Sequences {
	every := c.every(max(leastTokens, perColumn*widest(c.Set)))
	if every == 1 {
		return c.Data
	}
	batch, out := c.batch(), Sequences{Context: c.Data.Context}
	for i := 0; i*batch < c.Data.Len(); i += every {
		out.Batch = join(out.Batch, c.Data.slice(i*batch, min((i+1)*batch, c.Data.Len())).Batch)
	}
	return out
}

// join is the sequences of both.
func join(a, b data.Batch) data.Batch {
	return data.Batch{
		N: a.N + b.N, IDs: append(a.IDs, b.IDs...), Pixels: append(a.Pixels, b.Pixels...), Targets: append(a.Targets, b.Targets...),
		Starts: append(a.Starts, b.Starts...), Positions: append(a.Positions, b.Positions...), Documents: append(a.Documents, b.Documents...),
	}
}

// widest is the columns of the widest activation that a refit reads.
func widest(set *param.Set) (cols int) {
	for _, g := range coupled.Groups(set) {
		if g.Kind != coupled.VO && g.Kind != coupled.FFN {
			continue
		}
		for _, p := range g.Params() {
			if g.Side(p) == param.SideB {
				cols = max(cols, p.Size()/p.Dims[len(p.Dims)-1].Size)
			}
		}
	}
	return cols
}

// layerCut is the part of a cut that falls to a layer.
func layerCut(set *param.Set, cut param.Cut, layer int) param.Cut {
	out := param.Cut{}
	for dim, keep := range cut {
		if n, ok := set.DimLayer(dim); ok && n == layer && !stays(set, cut, dim) {
			out[dim] = keep
		}
	}
	return out
}

// lastLayer is the highest layer that a cut touches, -1 for none.
func lastLayer(set *param.Set, cut param.Cut) int {
	last := -1
	for dim := range cut {
		if n, ok := set.DimLayer(dim); ok && !stays(set, cut, dim) {
			last = max(last, n)
		}
	}
	return last
}

// stays reports whether a dimension is that of a whole layer, which a cut leaves.
func stays(set *param.Set, cut param.Cut, dim string) bool {
	n, _ := set.DimLayer(dim)
	return set.Dim(dim).Kind == param.Layer && !cut.Removes(n)
}

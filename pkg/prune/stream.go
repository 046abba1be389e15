package prune

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// stream is the residual stream of some sequences on its way through the layers: what a
// forward pass holds, but all sequences go through one layer before the next, so that one
// layer's activations, second moments and float32 weights are there at a time.
type stream struct {
	c     *Calibration
	data  Sequences
	layer int            // that x enters
	x     []float32      // [rows, E], a row a token; nil before layer 0, which reads the data
	last  *graph.Machine // its memory is used again
}

func (c *Calibration) newStream(data Sequences) *stream { return &stream{c: c, data: data} }

// fork is another stream at the same place.
func (s *stream) fork() *stream {
	return &stream{c: s.c, data: s.data, layer: s.layer, x: append([]float32(nil), s.x...)}
}

// Close gives up the memory.
func (s *stream) Close() {
	if s == nil {
		return
	}
	if s.last != nil {
		s.last.Close()
	}
	s.x, s.last = nil, nil
}

// input is the rows of sequences lo..hi in x.
func (s *stream) input(lo, hi int) []float32 {
	each := len(s.x) / s.data.Len()
	return s.x[lo*each : hi*each]
}

// run runs the graph of the layer from the sequences' inputs on, batch sequences at a time,
// lowered as o says, and calls each after every batch.
func (s *stream) run(o graph.LowerOptions, each func(m *graph.Machine, lo, hi int) error) error {
	n := s.data.Len()
	for lo := 0; lo < n; {
		batch := min(s.c.batch(), n-lo)
		b := graph.NewBuilder(s.c.Set, graph.BuildOptions{Documents: s.data.Packed()})
		s.c.Model.Loss(b, batch, s.data.Context, s.layer)
		o.Pool, o.Reuse = s.c.Pool, s.last
		m, err := b.Lower(o)
		if err != nil {
			return err
		}
		s.last = m
		for ; lo+batch <= n; lo += batch {
			if err := s.c.stopped(); err != nil {
				return err
			}
			if err := s.feed(m, lo, lo+batch, !o.SitesOnly); err != nil {
				return err
			}
			if err := each(m, lo, lo+batch); err != nil {
				return err
			}
			s.c.worked(m.Plan().FLOPs())
		}
	}
	return nil
}

// feed gives a machine the inputs of sequences lo..hi.
func (s *stream) feed(m *graph.Machine, lo, hi int, loss bool) error {
	part := s.data.slice(lo, hi)
	if loss {
		if err := part.FeedTargets(m, 1); err != nil {
			return err
		}
	}
	if s.layer == 0 {
		return part.FeedInputs(m)
	}
	if m.Has("starts") || s.layer < s.c.Set.Layers() { // behind the last layer nothing may read them
		if err := part.FeedDocuments(m); err != nil {
			return err
		}
	}
	return m.SetFloats("hidden", s.input(lo, hi)...)
}

// step runs the layer that the stream enters, shows the activations that e asks for (nil:
// none) and, unless it is the last layer, moves on to the next.
func (s *stream) step(e *coupled.Evidence) error {
	next := ""
	if s.layer+1 < s.c.Set.Layers() {
		next = param.InLayer(s.layer+1, "input")
	}
	o := graph.LowerOptions{SitesOnly: true}
	if next != "" {
		o.Sites = append(o.Sites, next)
	}
	if e != nil {
		for _, site := range e.Sites() {
			o.Sites = append(o.Sites, site.Name)
		}
	}
	if len(o.Sites) == 0 {
		return nil
	}
	var out []float32
	at, now := 0, Sequences{} // the batch at hand
	o.Observe = func(name string, x []float32, rows, cols int) error {
		if name != next {
			t := rows / now.Len()
			return e.ObserveDocuments(name, x, now.Len(), t, now.Starts)
		}
		if out == nil {
			if out = s.x; out == nil {
				out = make([]float32, len(x)/now.Len()*s.data.Len())
			}
		}
		copy(out[at*cols*rows/now.Len():], x)
		return nil
	}
	err := s.run(o, func(m *graph.Machine, lo, hi int) error {
		at, now = lo, s.data.slice(lo, hi)
		return m.RunAll()
	})
	if err != nil {
		return fmt.Errorf("layer %d: %w", s.layer, err)
	}
	if next != "" {
		s.x, s.layer = out, s.layer+1
	}
	return nil
}

// skip moves on to the next layer without running the one that the stream enters.
func (s *stream) skip() error {
	if s.layer == 0 { // what enters it is the embedding
		at, now := 0, Sequences{}
		o := graph.LowerOptions{SitesOnly: true, Sites: []string{param.InLayer(0, "input")}}
		if s.data.Packed() { // attention reads where documents begin, which is fed
			o.Sites = append(o.Sites, param.InLayer(0, "ctx"))
		}
		o.Observe = func(name string, x []float32, _, _ int) error {
			if name != o.Sites[0] {
				return nil
			}
			if s.x == nil {
				s.x = make([]float32, len(x)/now.Len()*s.data.Len())
			}
			copy(s.x[at*len(x)/now.Len():], x)
			return nil
		}
		if err := s.run(o, func(m *graph.Machine, lo, hi int) error {
			at, now = lo, s.data.slice(lo, hi)
			return m.RunAll()
		}); err != nil {
			return err
		}
	}
	s.layer++
	return nil
}

// loss is the mean loss, in nats a prediction, of what is left of the model from the stream's
// layer on.
func (s *stream) loss() (float64, error) {
	sum := 0.0
	err := s.run(graph.LowerOptions{}, func(m *graph.Machine, _, _ int) error {
		err := m.RunAll()
		sum += float64(m.Output("loss")[0])
		return err
	})
	return sum / float64(s.data.Predicted()), err
}

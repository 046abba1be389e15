package prune

import (
	"bytes"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
)

// TestEvidenceWithoutWeightGradients: what fisher, taylor and activation read is, to the
// bit, what a pass with the gradients of the weights gives, without their memory and a
// third of the operations, and with layers recomputed as well.
func TestEvidenceWithoutWeightGradients(t *testing.T) {
	for _, family := range []string{"llama", "gpt2"} {
		c := calibration(t, family, 6) // a batch of four, and two by themselves
		o := coupled.Options{Interactions: []coupled.Kind{coupled.QK}, Activations: true, Compensation: true}
		e, err := c.Gather(o)
		if err != nil {
			t.Fatal(err)
		}
		c.Recompute = graph.RecomputeLayer
		again, err := c.Gather(o)
		if err != nil {
			t.Fatal(err)
		}
		o.Product = c.product()
		want := coupled.NewEvidence(c.Set, o)
		grads := c.Set.NewSlab()
		at := 0
		for _, batch := range []int{4, 1, 1} {
			b := graph.NewBuilder(c.Set, graph.BuildOptions{Train: true})
			c.Model.Loss(b, batch, c.Data.Context, 0)
			show := newObserving(want)
			show.now = c.Data.slice(at, at+batch)
			m, err := b.Lower(graph.LowerOptions{Pool: c.Pool, Grads: grads, Taps: true, Observe: show.show})
			if err != nil {
				t.Fatal(err)
			}
			g := &gathering{c: &c, e: want}
			if err := g.run(m, c.Data.slice(at, at+batch), false); err != nil {
				t.Fatal(err)
			}
			at += batch
			m.Close()
		}
		var files [3]bytes.Buffer
		for i, e := range []*coupled.Evidence{want, e, again} {
			if err := e.Save(&files[i], family, c.Set); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(files[i].Bytes(), files[0].Bytes()) {
				t.Errorf("%s: evidence %d differs from that with the gradients of the weights", family, i)
			}
		}
		for name, config := range map[string]int64{"fisher": 0, "taylor": 0, "activation": 0, "fisher-diag": 4 * int64(c.Set.Len())} {
			p := Job{Calibration: c, Config: coupled.DefaultConfig()}
			p.Config.Criterion = name
			if m, err := p.Memory(); err != nil || m.Gradients != config {
				t.Errorf("%s: %s plans %d bytes of gradients, expected %d: %v", family, name, m.Gradients, config, err)
			}
		}
	}
}

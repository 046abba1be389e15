package prune

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/param"
)

// group is the ranks of the calibration; dist.Alone where there is one.
func (c *Calibration) group() dist.Group {
	if c.Ranks == nil {
		return dist.Alone{}
	}
	return c.Ranks
}

// mine reports whether batch i of a pass falls to this rank. Batches whose
// activations are observed, one in every, cost more than others: each kind is dealt
// out by itself.
func (c *Calibration) mine(i, every int) bool {
	g := c.group()
	if i%every == 0 {
		return i/every%g.Size() == g.Rank()
	}
	return (i-i/every-1)%g.Size() == g.Size()-1-g.Rank()
}

// merge gives every rank what all have seen.
func (c *Calibration) merge(e *coupled.Evidence) error {
	g := c.group()
	if g.Size() == 1 {
		return nil
	}
	return e.Merge(g.SumFloat64, g.Sum)
}

// Decide lets rank 0 make a plan and gives it to all, who check that they have the
// same; what names it. On the others plan is not called. Where rank 0 fails all do.
func Decide(g dist.Group, what string, plan func() (*coupled.Plan, error)) (*coupled.Plan, error) {
	if g.Size() == 1 {
		return plan()
	}
	var b bytes.Buffer
	var err error
	if g.Rank() == 0 {
		var made *coupled.Plan
		if made, err = plan(); err == nil {
			err = coupled.WritePlan(&b, made)
		}
		if err != nil {
			b.Reset() // the others are told that there is none
		}
	}
	text, sent := dist.Message(g, b.Bytes())
	switch {
	case err != nil:
		return nil, err
	case sent != nil:
		return nil, sent
	case len(text) == 0:
		return nil, fmt.Errorf("rank 0 could not make %s", what)
	}
	if err := dist.Agree(g, what, sha256.Sum256(text)); err != nil {
		return nil, err
	}
	return coupled.ReadPlan(bytes.NewReader(text))
}

// once changes the weights, and slabs parallel to them, on rank 0 and gives them to all.
func (p *Job) once(change func() error, slabs ...*param.Slab) error {
	g := p.group()
	if g.Size() == 1 {
		return change()
	}
	var err error
	failed := []float64{0}
	if g.Rank() == 0 {
		if err = change(); err != nil {
			failed[0] = 1
		}
	}
	if sum := g.SumFloat64(failed); sum != nil {
		return errors.Join(err, sum)
	}
	if err != nil {
		return err
	}
	if failed[0] > 0 {
		return errors.New("prune: rank 0 could not change the weights")
	}
	err = g.Broadcast(dist.Bytes(p.Set.Weights.Data))
	for _, s := range slabs {
		err = errors.Join(err, g.Broadcast(dist.Bytes(s.Data)))
	}
	return err
}

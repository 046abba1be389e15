package prune

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/coupled"
)

// Event is progress of a job; String is a line about it.
type Event interface{ String() string }

// Round begins a round of several.
type Round struct{ N, Of int }

// MemoryPlanned is what the calibration takes beside weights of so many bytes.
type MemoryPlanned struct {
	Memory
	Weights int64
}

// ChoosingBasis begins the pass that a change of basis needs.
type ChoosingBasis struct{ Sequences int }

// Gathering begins the pass that gathers evidence.
type Gathering struct {
	Sequences, Context int
	AtMost             bool // it ends when both halves of the evidence agree
}

// Continued says how many sequences an earlier process has seen.
type Continued struct{ Sequences int }

// NoRoom says that second moments are gathered in each phase, as the disk is too full for them.
type NoRoom struct {
	Dir         string
	Bytes, Free int64
}

// OrderingChannels begins the ordering of feed-forward channels of so many layers by refit.
// Those of ByScore layers stay in the order of their scores: there are only so many tokens, and
// Need is what the widest of them needs.
type OrderingChannels struct{ Layers, ByScore, Tokens, Need int }

// Measuring begins the measuring of so many trial cuts; where Every is above 1, of one layer in
// so many.
type Measuring struct{ Cuts, Sequences, Context, Every int }

// Comparing begins the measuring of whole plans on held calibration data.
type Comparing struct{ Plans, Sequences, Context int }

// Measured is one point of a sensitivity: the loss with a share of a kind's units.
type Measured struct {
	Kind  coupled.Kind
	Share float64
	Loss  float64
}

func (e Round) String() string { return fmt.Sprintf("round %d of %d", e.N, e.Of) }

func (e MemoryPlanned) String() string {
	return fmt.Sprintf("memory    %s beside weights of %s: %s", units.Bytes(e.Total()), units.Bytes(e.Weights), e.Memory)
}

func (e ChoosingBasis) String() string {
	return fmt.Sprintf("choosing the basis by the activations of %d sequences", e.Sequences)
}

func (e Gathering) String() string {
	most := ""
	if e.AtMost {
		most = "at most "
	}
	return fmt.Sprintf("gathering evidence from %s%d sequences of %d tokens", most, e.Sequences, e.Context)
}

func (e Compared) String() string {
	return fmt.Sprintf("after %d sequences the plans of both halves of the evidence overlap by %.3f (enough: %.2f)", e.Sequences, e.Overlap, agreement)
}

func (e Continued) String() string {
	return fmt.Sprintf("resuming after %d sequences", e.Sequences)
}

func (e NoRoom) String() string {
	return fmt.Sprintf("%s has %s free, too little to keep second moments (%s): every phase computes its own", e.Dir, units.Bytes(e.Free), units.Bytes(e.Bytes))
}

func (e OrderingChannels) String() string {
	byRefit := fmt.Sprintf("ordering the feed-forward channels of %s by what a refit of the others does not make up for", units.Plural(e.Layers, "layer"))
	byScore := fmt.Sprintf("%d of %s keep their feed-forward channels ordered by score: calibration has %d tokens, expected %d at least for an order by refit",
		e.ByScore, units.Plural(e.Layers+e.ByScore, "layer"), e.Tokens, e.Need)
	switch {
	case e.ByScore == 0:
		return byRefit
	case e.Layers == 0:
		return byScore
	}
	return byRefit + "; " + byScore
}

func (e Measuring) String() string {
	s := fmt.Sprintf("measuring sensitivity: %d trial cuts on %s of %d tokens", e.Cuts, units.Plural(e.Sequences, "sequence"), e.Context)
	if e.Every > 1 {
		s += fmt.Sprintf(", one layer in %d; the layers between are interpolated", e.Every)
	}
	return s
}

func (e Comparing) String() string {
	return fmt.Sprintf("comparing %d plans on %s of %d tokens", e.Plans, units.Plural(e.Sequences, "sequence"), e.Context)
}

func (e Measured) String() string {
	return fmt.Sprintf("%s kept %.2f: loss %.4f", e.Kind, e.Share, e.Loss)
}

func (p *Job) tell(e Event) {
	if p.Notify != nil {
		p.Notify(e)
	}
}

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
type Gathering struct{ Sequences, Context int }

// Measuring begins the measuring of so many trial cuts.
type Measuring struct{ Cuts, Sequences, Context int }

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
	return fmt.Sprintf("gathering evidence from %d sequences of %d tokens", e.Sequences, e.Context)
}

func (e Measuring) String() string {
	return fmt.Sprintf("measuring sensitivity: %d trial cuts on %d sequences of %d tokens", e.Cuts, e.Sequences, e.Context)
}

func (e Comparing) String() string {
	return fmt.Sprintf("comparing %d plans on %d sequences of %d tokens", e.Plans, e.Sequences, e.Context)
}

func (e Measured) String() string {
	return fmt.Sprintf("%s kept %.2f: loss %.4f", e.Kind, e.Share, e.Loss)
}

func (p *Job) tell(e Event) {
	if p.Notify != nil {
		p.Notify(e)
	}
}

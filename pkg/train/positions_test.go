package train

import (
	"slices"
	"testing"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/data"
)

// TestPositions: losses go where their tokens stand, of packed documents in their own
// document, and what is not predicted does not count.
func TestPositions(t *testing.T) {
	nll := make([]float32, 32)
	targets, own := make([]int32, 32), make([]int32, 32)
	for i := range nll {
		nll[i], own[i] = float32(i%16/2), int32(i%16) // of two sequences of 16, stretches of 2
	}
	targets[1], nll[1] = -1, 1000
	var p positions
	p.add(nll, data.Batch{N: 2, Targets: targets})
	got, err := p.means(dist.Alone{})
	if want := []float64{0, 1, 2, 3, 4, 5, 6, 7}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v: expected %v", got, err, want)
	}
	for i := range own {
		own[i] %= 4 // documents of 4 tokens
	}
	p = positions{}
	p.add(nll, data.Batch{N: 2, Targets: targets, Positions: own})
	got, err = p.means(dist.Alone{})
	// Stretch 0 is tokens 0, 1, 4, 5, ... with the losses 0, 2, 2, 4, 4, 6, 6 and 0, 0, 2, ...
	if want := []float64{48.0 / 15, 64.0 / 16}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v: expected %v", got, err, want)
	}
}

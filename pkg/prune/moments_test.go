package prune

import (
	"testing"

	"github.com/ecospa/ecospa/pkg/data"
)

// TestMomentsOfEnoughTokens: refits of a narrow model see as many tokens as those of a wide one,
// spread over all sequences, and all where there are fewer.
func TestMomentsOfEnoughTokens(t *testing.T) {
	c := calibration(t, "llama", 8)
	for _, want := range []struct{ sequences, used int }{{8, 8}, {2048, 2048}, {8192, 2048}} {
		n := want.sequences * 16
		c.Data.Batch = data.Batch{N: want.sequences, IDs: make([]int32, n), Targets: make([]int32, n)}
		for i := range c.Data.IDs {
			c.Data.IDs[i] = int32(i / 16)
		}
		got := c.enough()
		if got.Len() != want.used || got.IDs[len(got.IDs)-1] < int32(want.sequences*9/10) {
			t.Errorf("%d of %d sequences, the last is %d; expected %d", got.Len(), want.sequences, got.IDs[len(got.IDs)-1], want.used)
		}
	}
}

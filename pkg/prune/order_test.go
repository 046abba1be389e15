package prune

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestFewTokensOrderByScore: where calibration has fewer tokens than an order by refit needs,
// no second moments are gathered for it, it is said, and the plan is the one by score.
func TestFewTokensOrderByScore(t *testing.T) {
	run := func(order string, sequences int) (plan, said, phases string) {
		c := storable(t, "llama", param.BF16, true)
		c.Data = c.Data.slice(0, sequences)
		p := &Job{Calibration: c, Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove(), Promise: 2.5}
		p.Config.Target, p.Config.Of, p.Config.Allocation, p.Config.FFNOrder = "0.6x", "prunable", "auto", order
		p.Notify = func(e Event) {
			if o, ok := e.(OrderingChannels); ok {
				said += o.String()
			}
		}
		r, err := p.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, ph := range r.Phases {
			phases += string(ph.Name) + " "
		}
		return fmt.Sprint(r.Plan().Cut()), said, phases
	}
	byScore, _, _ := run(coupled.OrderScore, 8)
	plan, said, phases := run(coupled.OrderRefit, 8)
	if plan != byScore || strings.Contains(phases, string(PhaseOrder)) {
		t.Errorf("128 tokens for 96 channels: phases %s, the plan is that by score: %t", phases, plan == byScore)
	}
	if !strings.Contains(said, "3 of 3 layers keep their feed-forward channels ordered by score") || !strings.Contains(said, "expected 192 at least") {
		t.Errorf("it is said: %q", said)
	}
	if _, said, phases := run(coupled.OrderRefit, 24); !strings.Contains(phases, string(PhaseOrder)) || strings.Contains(said, "by score") {
		t.Errorf("384 tokens for 96 channels: phases %s, said %q", phases, said)
	}
}

package prune

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ecospa/ecospa/pkg/recovery"
)

func TestRecoveringSays(t *testing.T) {
	for e, want := range map[Recovering]string{
		{recovery.Progress{Steps: 78, Left: 5 * time.Second, Memory: 3 << 20, Held: math.NaN()}}: "78 steps against the model before the cut, about 5s, in 3.0 MiB",
		{recovery.Progress{Step: 8, Steps: 78, Tokens: 4096, Left: time.Minute, Held: 3.5}}:      "step 8 of 78, 4.1k tokens, held-out loss 3.5000, about 1m00s left",
	} {
		if got := e.String(); !strings.HasSuffix(got, want) {
			t.Errorf("%q, expected %q", got, want)
		}
	}
}

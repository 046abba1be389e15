package mpi

import (
	"time"

	"github.com/ecospa/ecospa/internal/dist"
)

// Ranks is this process's part in a run of several processes.
type Ranks struct {
	dist.Group
	world *World // nil alone
	local int    // ranks on this host; at least 1
}

// Alone is the only process of a run.
var Alone = Ranks{Group: dist.Alone{}, local: 1}

// Find is Join, or Alone where no launcher started this process.
func Find(getenv func(string) string, grace time.Duration) (Ranks, error) {
	w, local, err := Join(getenv, grace)
	if w == nil || err != nil {
		return Alone, err
	}
	return Ranks{Group: w, world: w, local: local}, nil
}

// Lead reports whether this rank writes and prints for all.
func (r Ranks) Lead() bool { return r.Rank() == 0 }

// Many reports whether there are other ranks.
func (r Ranks) Many() bool { return r.Size() > 1 }

// Library names what joins the ranks; "" alone.
func (r Ranks) Library() string {
	if r.world == nil {
		return ""
	}
	return r.world.Library()
}

// Threads is the worker threads of a rank that is asked for n; 0 is its share of the
// cores, and alone 0: all of them.
func (r Ranks) Threads(n int) int {
	if n == 0 && r.Many() {
		return Threads(r.local)
	}
	return n
}

// Close ends this rank's part together with the others.
func (r Ranks) Close() error {
	if r.world == nil {
		return nil
	}
	return r.world.Close()
}

// Abort ends all ranks at once with an exit code; alone it does nothing.
func (r Ranks) Abort(code int) {
	if r.world != nil {
		r.world.Abort(code)
	}
}

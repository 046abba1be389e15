package prune

import (
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/recovery"
)

// Result is what a pruning did.
type Result struct {
	Plans    []*coupled.Plan   // of every round, or the one that was followed
	Evidence *coupled.Evidence // of the last round, before its cut; the caller closes it
	Trials   int               // losses measured, by rank 0
	Zeros    []coupled.Zero    // rows zeroed by the ablation; rank 0 has them

	Unit          string           // of the job
	Before, After Side             // After is empty with DryRun; only Run fills them
	Vocabulary    *Vocabulary      // of the job
	Recovery      *recovery.Result // nil where none was asked for
	Interrupted   bool             // the recovery was
	InTurns       bool             // the rates of Before and After are of Job.InTurns
	// MemoryBefore and MemoryAfter are planned, with Footprints.
	MemoryBefore, MemoryAfter PlannedMemory
	Rows                      []Row // the last plan, by layer and kind

	Estimate Estimate
	Phases   []PhaseReport
	Compared Compared // the last comparison of halves of the evidence, and the sequences used
	PeakRSS  int64    // bytes, until the end of the last phase
}

// Close gives up the evidence.
func (r *Result) Close() {
	if r.Evidence != nil {
		r.Evidence.Close()
		r.Evidence = nil
	}
}

// Plan is the last round's.
func (r *Result) Plan() *coupled.Plan { return r.Plans[len(r.Plans)-1] }

// Zeroed is the number of rows that the ablation zeroed.
func (r *Result) Zeroed() (n int) {
	for _, z := range r.Zeros {
		n += len(z.Rows)
	}
	return n
}

package prune

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/ecospa/ecospa/pkg/param"
)

// Vocabulary is a cut of the vocabulary that was made before a job, and the model that
// it was made from.
type Vocabulary struct {
	Kept           []int32    // ids that were asked to stay, by the old numbers
	IDsBefore, IDs int        // of the model before and after
	Before         Side       // the model with all of its vocabulary
	Shapes         *param.Set // of that model
	// PerByteBefore and PerByte are tokens that are predicted a byte of the text that is
	// measured: before and after, a decoder is measured on the same bytes.
	PerByteBefore, PerByte float64
	// Distance is how far the cut moved the vectors of the held-out texts, the mean of 1 -
	// cosine, of an encoder without a head: what is cut later is compared with the moved ones.
	Distance float64
}

// Limit is how many tokens after the cut are as much text as n before it; 0, for all,
// stays 0. A nil receiver has cut nothing.
func (v *Vocabulary) Limit(n int) int {
	if v == nil || n == 0 {
		return n
	}
	return max(1, int(float64(n)*v.PerByte/v.PerByteBefore))
}

// VocabularyReport is a cut of the vocabulary, in a Report.
type VocabularyReport struct {
	IDsBefore      int     `json:"ids_before"`
	IDsAfter       int     `json:"ids_after"`
	PerByteBefore  float64 `json:"tokens_per_byte_before"` // predicted tokens, of the text that losses are on
	PerByteAfter   float64 `json:"tokens_per_byte_after"`
	LossByteBefore float64 `json:"loss_per_byte_before"`          // nats: their sum over the bytes of that text; of masked-language models the mean loss times tokens a byte; 0 of an encoder without a head
	LossByteAfter  float64 `json:"loss_per_byte_after,omitempty"` // of the result; a dry run has none
	Distance       float64 `json:"vector_distance,omitempty"`     // of an encoder without a head: mean of 1 - cosine between vectors of held-out texts before and after the vocabulary was cut
}

func (v *Vocabulary) report(r *Result) *VocabularyReport {
	out := &VocabularyReport{Distance: v.Distance, IDsBefore: v.IDsBefore, IDsAfter: v.IDs, PerByteBefore: v.PerByteBefore, PerByteAfter: v.PerByte}
	if r.Unit != "text" { // there losses are distances
		out.LossByteBefore, out.LossByteAfter = r.Before.Loss*v.PerByteBefore, r.After.Loss*v.PerByte
	}
	return out
}

// String is the report as a table.
func (v VocabularyReport) String() string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "vocabulary\tbefore\tafter\tratio\n----------\t------\t-----\t-----")
	fmt.Fprintf(t, "ids\t%d\t%d\t%.3f\n", v.IDsBefore, v.IDsAfter, float64(v.IDsAfter)/float64(v.IDsBefore))
	fmt.Fprintf(t, "tokens a byte\t%.4f\t%.4f\t%.3f\n", v.PerByteBefore, v.PerByteAfter, v.PerByteAfter/v.PerByteBefore)
	if v.Distance > 0 {
		fmt.Fprintf(t, "1 - cosine, texts' vectors\t0\t%.6f\t-\n", v.Distance)
	}
	if v.LossByteAfter > 0 {
		fmt.Fprintf(t, "loss, nats a byte\t%.4f\t%.4f\t%.3f\n", v.LossByteBefore, v.LossByteAfter, v.LossByteAfter/v.LossByteBefore)
	}
	t.Flush()
	return b.String()
}

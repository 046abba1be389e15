package prune

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/recovery"
)

// Report is what a pruning is summed up as, for people and for other programs.
type Report struct {
	From         string        `json:"from"`
	Out          string        `json:"out"`
	Data         string        `json:"data"` // "parent": text drawn from the model before, losses too are on it
	Before       ReportSide    `json:"before"`
	After        *ReportSide   `json:"after"` // null of a dry run
	Rows         []Row         `json:"rows"`  // the last plan, by layer and kind
	Speed        *Speed        `json:"speed,omitempty"`
	MemoryBefore PlannedMemory `json:"memory_before"` // planned
	MemoryAfter  PlannedMemory `json:"memory_after"`
	MemoryBatch  int           `json:"memory_batch"` // sequences that memory is planned for
	Context      int           `json:"context"`      // tokens of each, and of a calibration sequence
	Planned      int           `json:"planned_params"`
	Trials       int           `json:"trials"` // losses of trial cuts that were measured
	Zeroed       int           `json:"zeroed"` // rows, of the ablation
	// Vocabulary is what was cut from the vocabulary; null where it stayed.
	Vocabulary *VocabularyReport `json:"vocabulary,omitempty"`
	// Recovery is the training against the model before the cut, with held-out losses on
	// the way; null where there was none.
	Recovery *recovery.Result `json:"recovery,omitempty"`
	Seconds  float64          `json:"seconds"`
	PeakRSS  int64            `json:"peak_rss"` // bytes
	// Sequences is how many the evidence came from, Overlap how far the plans of its halves
	// agreed; -1 where they were not compared.
	Sequences int           `json:"sequences"`
	Overlap   float64       `json:"overlap"`
	Phases    []PhaseReport `json:"phases"`
	// OfPlain is the operations of all phases but the recovery over those of forward and backward passes over
	// the sequences; the estimate was of so many at most.
	OfPlain float64 `json:"of_plain"`
}

// ReportSide is a model before or after, in a Report.
type ReportSide struct {
	Params     int     `json:"params"`
	FLOPs      float64 `json:"flops_per_token"` // of the matrix products of a forward pass
	FileBytes  int64   `json:"file_bytes"`      // of the weights as they are on disk
	Loss       float64 `json:"loss"`            // on held-out data: nats a token or an image; of an encoder without a head 1 - cosine of a text's vector
	Perplexity float64 `json:"perplexity,omitempty"`
	TokensPerS float64 `json:"tokens_per_s,omitempty"` // of evaluation

	// Of models of images instead of the last two.
	Top1       *float64 `json:"top1,omitempty"` // share of held-out images
	Top5       *float64 `json:"top5,omitempty"`
	ImagesPerS float64  `json:"images_per_s,omitempty"` // of evaluation

	TextsPerS float64 `json:"texts_per_s,omitempty"` // of evaluation, of an encoder without a head
}

// Report sums up a result.
func (r *Result) Report() Report {
	out := Report{
		Before: r.Before.report(r.Unit), Rows: r.Rows, MemoryBefore: r.MemoryBefore, MemoryAfter: r.MemoryAfter,
		Planned: r.After.Params, Trials: r.Trials, Zeroed: r.Zeroed(), Recovery: r.Recovery,
	}
	out.Sequences, out.Overlap, out.Phases, out.OfPlain = r.Compared.Sequences, r.Compared.Overlap, r.Phases, r.ofPlain()
	if len(r.Plans) > 0 {
		out.Planned = r.Plan().After
	}
	if v := r.Vocabulary; v != nil {
		out.Vocabulary = v.report(r)
	}
	if r.After.Params > 0 {
		after := r.After.report(r.Unit)
		out.After = &after
		if out.Speed = compared(r.Before, r.After); out.Speed != nil {
			out.Speed.InTurns = r.InTurns
		}
	}
	return out
}

func (s Side) report(unit string) ReportSide {
	out := ReportSide{Params: s.Params, FLOPs: s.FLOPs, Loss: s.Loss}
	rate := s.Rate()
	switch unit {
	case "image":
		out.Top1, out.Top5, out.ImagesPerS = &s.Top1, &s.Top5, rate
	case "text":
		out.TextsPerS = rate
	default:
		out.Perplexity, out.TokensPerS = s.Perplexity(), rate
	}
	return out
}

// ofPlain is what Report.OfPlain says. Evaluations count as they were estimated.
func (r *Result) ofPlain() float64 {
	if r.Estimate.Plain == 0 || r.Compared.Sequences == 0 {
		return 0
	}
	sum := 0.0
	for _, p := range r.Phases {
		if p.Name == PhaseRecovery {
			continue
		}
		if p.Name == PhaseBefore || p.Name == PhaseAfter {
			sum += float64(p.Expected)
		}
		sum += float64(p.FLOPs)
	}
	return sum / (float64(r.Estimate.Plain) / float64(r.Estimate.sequences) * float64(r.Compared.Sequences))
}

// phases is the table of what the phases took.
func (r Report) phases(b *strings.Builder) {
	if len(r.Phases) == 0 {
		return
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nphase\tseconds\tresident\tplanned beside the weights\n-----\t-------\t--------\t--------------------------")
	for _, p := range r.Phases {
		fmt.Fprintf(t, "%s\t%.1f\t%s\t%s\n", p.Name, p.Seconds, units.Bytes(p.PeakRSS), units.Bytes(p.Planned))
	}
	t.Flush()
	if r.Sequences > 0 {
		fmt.Fprintf(b, "\nevidence of %s of %d tokens", units.Plural(r.Sequences, "sequence"), r.Context)
		if r.Overlap >= 0 {
			fmt.Fprintf(b, ",\n  whose halves give plans that overlap by %.2f", r.Overlap)
		}
		fmt.Fprintf(b, ";\n  %.2f times forward and backward passes\n", r.OfPlain)
	}
}

// String is the report as text of at most 80 columns.
func (r Report) String() string {
	var b strings.Builder
	r.layers(&b)
	if r.Vocabulary != nil {
		if len(r.Rows) > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(r.Vocabulary.String())
	}
	fmt.Fprintf(&b, "\nplanned memory for %s of %d tokens:\n  inference  %s -> %s\n  training   %s -> %s\n\n", units.Plural(r.MemoryBatch, "sequence"), r.Context,
		units.Bytes(r.MemoryBefore.Inference), units.Bytes(r.MemoryAfter.Inference), units.Bytes(r.MemoryBefore.Training), units.Bytes(r.MemoryAfter.Training))
	if r.After == nil {
		fmt.Fprintf(&b, "%d -> %d parameters by plan; nothing was changed\n", r.Before.Params, r.Planned)
		return b.String()
	}
	r.sides(&b)
	if s := r.Speed; s != nil {
		how := "\n  (before and after at different times)"
		if s.InTurns {
			how = " in turns"
		}
		fmt.Fprintf(&b, "speed: %.2fx, median of %s%s, quartiles %.2f to %.2f\n", s.Ratio, units.Plural(s.Pairs, "evaluation step"), how, s.Low, s.High)
		if s.Load > 0 {
			fmt.Fprintf(&b, "  the machine was busy (load %.1f): it says little\n", s.Load)
		}
	}
	if r.Data == "parent" {
		b.WriteString("losses are on text that was drawn from the model before\n")
	}
	if v := r.Recovery; v != nil {
		fmt.Fprintf(&b, "\nrecovery: %s tokens in %s; held-out loss %.4f before the cut,\n  %.4f after it, %.4f now\n",
			units.Count(float64(v.Tokens)), units.Clock(units.Seconds(v.Seconds)), v.Parent, v.Points[0].Loss, v.Best.Loss)
		if v.AdamW > 0 {
			fmt.Fprintf(&b, "  by %s on one copy of the weights, %s in all (adamw would take %s and learn more a token)\n", v.Optimizer, units.Bytes(v.Memory), units.Bytes(v.AdamW))
		}
	}
	r.phases(&b)
	fmt.Fprintf(&b, "\n%s written in %.1f s, peak resident memory %s\n", r.Out, r.Seconds, units.Bytes(r.PeakRSS))
	return b.String()
}

// layers is the table of what the last plan cuts.
func (r Report) layers(b *strings.Builder) {
	if len(r.Rows) == 0 {
		return
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "layer\tkind\tunits\tkept\tscore lost\tparameters\tFLOPs a token")
	fmt.Fprintln(t, "-----\t----\t-----\t----\t----------\t----------\t-------------")
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%d\t%s\t%d\t%d\t%.2f %%\t%s -> %s\t%s -> %s\n", row.Layer, row.Kind, row.Units, row.Keep, 100*row.Removed,
			units.Count(float64(row.Before)), units.Count(float64(row.After)), units.Count(row.FLOPsBefore), units.Count(row.FLOPsAfter))
	}
	t.Flush()
}

// sides is the table of the model before and after.
func (r Report) sides(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tbefore\tafter\tratio\n\t------\t-----\t-----")
	line := func(name, format string, x, y float64) {
		ratio := "-"
		if x != 0 {
			ratio = fmt.Sprintf("%.3f", y/x)
		}
		fmt.Fprintf(t, "%s\t"+format+"\t"+format+"\t%s\n", name, x, y, ratio)
	}
	before, after := r.Before, *r.After
	line("parameters", "%.0f", float64(before.Params), float64(after.Params))
	line("FLOPs a token", "%.0f", before.FLOPs, after.FLOPs)
	line("bytes on disk", "%.0f", float64(before.FileBytes), float64(after.FileBytes))
	switch {
	case before.TextsPerS > 0:
		fmt.Fprintf(t, "1 - cosine to the source's vectors\t%.6f\t%.6f\t-\n", before.Loss, after.Loss)
		line("texts/s", "%.0f", before.TextsPerS, after.TextsPerS)
	case before.Top1 != nil:
		line("loss, nats an image", "%.4f", before.Loss, after.Loss)
		line("top-1, %", "%.2f", 100**before.Top1, 100**after.Top1)
		line("top-5, %", "%.2f", 100**before.Top5, 100**after.Top5)
		line("images/s", "%.0f", before.ImagesPerS, after.ImagesPerS)
	default:
		line("loss, nats a token", "%.4f", before.Loss, after.Loss)
		line("perplexity", "%.3f", before.Perplexity, after.Perplexity)
		line("tokens/s", "%.0f", before.TokensPerS, after.TokensPerS)
	}
	t.Flush()
}

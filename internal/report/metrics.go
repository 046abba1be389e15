package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ecospa/ecospa/pkg/train"
)

const (
	maxLine    = 512 << 10 // bytes of a line of metrics.jsonl
	maxRecords = 1 << 16   // records kept
	maxEvents  = 1 << 14   // records with an event
)

// readMetrics reads metrics.jsonl. A last line without its end is one that is
// being written, and is left out.
func (r *Run) readMetrics(root *os.Root) error {
	f, err := root.Open("metrics.jsonl")
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, maxLine)
	thin := thinner{every: 1}
	var hours, flops float64 // sums, in Record.Hours and FLOPs of what is kept
	for line, last := 1, 0; ; line++ {
		text, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("metrics.jsonl:%d: line longer than %d bytes", line, maxLine)
		}
		if err != nil {
			return err
		}
		var rec train.Record
		if err := json.Unmarshal(text, &rec); err != nil {
			return fmt.Errorf("metrics.jsonl:%d: %w", line, err)
		}
		if rec.Step <= last {
			return fmt.Errorf("metrics.jsonl:%d: step %d follows step %d, expected a later one", line, rec.Step, last)
		}
		last = rec.Step
		hours, flops = bounded(hours+rec.Ms/3.6e6), bounded(flops+rec.FLOPs)
		rec.Hours, rec.FLOPs = hours, flops
		if err := thin.add(rec); err != nil {
			return fmt.Errorf("metrics.jsonl:%d: %w", line, err)
		}
	}
	if r.Steps = thin.kept; len(r.Steps) == 0 {
		return errors.New("metrics.jsonl has no complete line yet")
	}
	return nil
}

// thinner keeps every so many-th record, so that there are never too many, and
// those that say more than the others.
type thinner struct {
	every, seen, events int
	kept                []train.Record
}

func telling(r train.Record) bool {
	return r.Event != nil || r.Memory != nil || r.ValLoss != nil || r.Samples != nil || r.Layers != nil
}

func (t *thinner) add(r train.Record) error {
	t.seen++
	if telling(r) {
		if t.events++; t.events > maxEvents {
			return fmt.Errorf("more than %d lines with an event, an evaluation, norms of layers or a change of memory", maxEvents)
		}
	} else if t.seen%t.every != 0 {
		return nil
	}
	t.kept = append(t.kept, r)
	if len(t.kept) < maxRecords {
		return nil
	}
	t.every *= 2
	half := t.kept[:0]
	for i, k := range t.kept {
		if telling(k) || i%2 == 0 {
			half = append(half, k)
		}
	}
	t.kept = half
	return nil
}

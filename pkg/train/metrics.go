package train

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// Record is one line of metrics.jsonl: what one optimizer step showed.
type Record struct {
	Step       int      `json:"step"`         // counted from 1
	Loss       float64  `json:"loss"`         // mean over the step's predicted tokens, nats
	LR         float64  `json:"lr"`           // learning rate of the update
	GradNorm   float64  `json:"grad_norm"`    // global L2 norm before clipping
	TokensPerS float64  `json:"tokens_per_s"` // predicted tokens by the step's wall time
	Ms         float64  `json:"ms"`           // wall time of the step, milliseconds
	RSS        int64    `json:"rss"`          // resident set after the step, bytes
	Params     int      `json:"params"`       // parameters after the step
	Tokens     int64    `json:"tokens"`       // tokens seen so far
	ValLoss    *float64 `json:"val_loss,omitempty"`
	Pruned     bool     `json:"pruned,omitempty"` // a pruning event followed this step
}

// Metrics writes metrics.jsonl, a line a step.
type Metrics struct {
	f *os.File
	w *bufio.Writer
}

// OpenMetrics opens the file for appending after step steps: lines of later
// steps, which an interrupted run may have left, are cut off, and so is a line
// that was half written.
func OpenMetrics(path string, steps int) (*Metrics, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	keep, err := lengthUpTo(f, steps)
	if err == nil {
		err = f.Truncate(keep)
	}
	if err == nil {
		_, err = f.Seek(keep, 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Metrics{f, bufio.NewWriter(f)}, nil
}

// lengthUpTo is the length in bytes of the lines of steps 1..steps.
func lengthUpTo(f *os.File, steps int) (int64, error) {
	r := bufio.NewReader(f)
	var n int64
	for {
		line, err := r.ReadBytes('\n')
		if err != nil { // the end, or a line without its end
			return n, nil
		}
		var rec Record
		if json.Unmarshal(line, &rec) != nil || rec.Step > steps {
			return n, nil
		}
		n += int64(len(line))
	}
}

// Write appends a line and hands it to the system.
func (m *Metrics) Write(r Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	m.w.Write(append(line, '\n'))
	return m.w.Flush()
}

// Close ends the file.
func (m *Metrics) Close() error {
	if err := m.w.Flush(); err != nil {
		m.f.Close()
		return err
	}
	return m.f.Close()
}

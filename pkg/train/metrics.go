package train

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Record is one line of metrics.jsonl: what one optimizer step showed.
type Record struct {
	Step       int                `json:"step"`          // counted from 1
	Loss       float64            `json:"loss"`          // mean over the step's predicted tokens, nats
	LR         float64            `json:"lr"`            // learning rate of the update
	GradNorm   float64            `json:"grad_norm"`     // global L2 norm before clipping
	TokensPerS float64            `json:"tokens_per_s"`  // predicted tokens by the step's wall time
	Ms         float64            `json:"ms"`            // wall time of the step, milliseconds
	MFU        float64            `json:"mfu,omitempty"` // model FLOPs utilisation: matrix-product FLOP/s by the rate that products reached here before the first step
	RSS        int64              `json:"rss"`           // resident set after the step, bytes
	Params     int                `json:"params"`        // parameters after the step
	Tokens     int64              `json:"tokens"`        // tokens seen so far
	ValLoss    *float64           `json:"val_loss,omitempty"`
	ValEMA     *float64           `json:"val_loss_ema,omitempty"` // validation loss of the averaged weights (train.ema)
	ValParts   map[string]float64 `json:"val_parts,omitempty"`    // of the corpora of a mixture, by their paths
	Rewards    *Rewards           `json:"rewards,omitempty"`      // of the step's pairs of answers
	ValRewards *Rewards           `json:"val_rewards,omitempty"`  // of the pairs that are held out
	Samples    []string           `json:"samples,omitempty"`      // texts that the model wrote after the step
	Layers     []LayerNorm        `json:"layers,omitempty"`       // with logging.layers_every
	FLOPs      float64            `json:"flops,omitempty"`        // of the step's matrix products, on all ranks, a teacher's included
	Hours      float64            `json:"-"`                      // of the steps so far, which readers of the file sum up
	Pruned     bool               `json:"pruned,omitempty"`       // a pruning event followed this step
	Memory     *Memory            `json:"memory,omitempty"`       // planned bytes, on the first line of a process and where they change
	Event      *Event             `json:"event,omitempty"`        // the pruning event that followed
}

// Metrics writes metrics.jsonl, a line a step. Lines that the disk does not take
// are kept, and written with the next one that it does.
type Metrics struct {
	f    *os.File
	end  int64  // length of what is written
	left []byte // lines that are not
}

// OpenMetrics opens the file for appending after step steps: lines of later
// steps, which an interrupted run may have left, are cut off, and so is a line
// that was half written.
func OpenMetrics(path string, steps int) (*Metrics, error) {
	root, err := os.OpenRoot(filepath.Dir(path)) // no link leads out of the directory
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(filepath.Base(path), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	keep, err := lengthUpTo(f, steps)
	if err == nil {
		err = f.Truncate(keep)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Metrics{f: f, end: keep}, nil
}

// lengthUpTo is the length in bytes of the lines of steps 1..steps, each of a
// later step than the one before.
func lengthUpTo(f io.Reader, steps int) (int64, error) {
	r := bufio.NewReader(f)
	var n int64
	for last := 0; ; {
		line, err := r.ReadBytes('\n')
		if err == io.EOF { // perhaps behind a line without its end
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		var rec Record
		if json.Unmarshal(line, &rec) != nil || rec.Step <= last || rec.Step > steps {
			return n, nil
		}
		last = rec.Step
		n += int64(len(line))
	}
}

// Write appends a line and hands it to the system. After an error the line is kept.
func (m *Metrics) Write(r Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	m.left = append(append(m.left, line...), '\n')
	return m.flush()
}

// flush writes the lines that are left.
func (m *Metrics) flush() error {
	if len(m.left) == 0 {
		return nil
	}
	if _, err := m.f.WriteAt(m.left, m.end); err != nil { // half a line is written over, or cut off on resuming
		return err
	}
	m.end += int64(len(m.left))
	m.left = m.left[:0]
	return nil
}

// Sync writes the lines that are left and makes all of them durable.
func (m *Metrics) Sync() error {
	if err := m.flush(); err != nil {
		return err
	}
	return m.f.Sync()
}

// Close ends the file.
func (m *Metrics) Close() error { return errors.Join(m.flush(), m.f.Close()) }

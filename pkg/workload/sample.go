package workload

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
)

// SampleOptions says which texts are drawn from a model.
type SampleOptions struct {
	Count   int
	Tokens  int    // of a text at most, its beginning included; 0 is the model's context
	Prompt  string // what texts begin with; "" is what the model's files begin a text with
	Sampler infer.SamplerConfig
	Batch   int // texts at once; 0 is 64
	Threads int
	// Progress is told of every text; may be nil.
	Progress func(done, tokens int)
}

// Sampled is a line of a file of texts that a model wrote.
type Sampled struct {
	Text   string `json:"text"`
	Number int    `json:"number"`
	Tokens int    `json:"tokens"` // that were drawn
	Ended  bool   `json:"ended"`  // by an end of a text, not by its length
	Seed   uint64 `json:"seed"`   // of the whole file
}

// SampleToFile writes texts of a model to a .jsonl file, a line each, in order. A file that
// holds some of them already, of the same seed, is gone on with; a line that was half
// written is written again. It returns how many were there.
func SampleToFile(ctx context.Context, b *bundle.Bundle, path string, o SampleOptions) (there int, err error) {
	d, ok := b.Model.(model.Decoder)
	if !ok {
		return 0, fault.Usage(fmt.Errorf("%s: a model of the family %s cannot generate text", b.Path, b.Model.Family()))
	}
	begin, err := b.Begin()
	if o.Prompt != "" {
		begin, err = b.Tokenizer.Encode(nil, []byte(o.Prompt)), b.Text()
	}
	if err != nil {
		return 0, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if there, err = written(f, o.Sampler.Seed); err != nil {
		return there, fault.BadInput(fmt.Errorf("%s: %w", path, err))
	}
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	tokens := 0
	how := infer.SampleOptions{
		First: there, Count: max(0, o.Count-there), Tokens: o.Tokens, Begin: [][]int32{begin}, Ends: b.TextEnds(), Sampler: o.Sampler,
		Scheduler: infer.SchedulerOptions{MaxBatch: o.Batch, Int8: true},
	}
	if how.Count == 0 {
		return there, nil
	}
	err = infer.Sample(ctx, infer.Source{Model: d, Set: b.Set, Pool: pool, Never: b.Unused()}, how, func(s infer.Sampled) error {
		line := Sampled{Number: s.Number, Tokens: len(s.IDs) - len(begin), Ended: s.Ended, Seed: o.Sampler.Seed}
		ids := s.IDs
		if s.Ended {
			ids = ids[:len(ids)-1]
		}
		if o.Prompt == "" {
			ids = ids[len(begin):]
		}
		text, err := b.Tokenizer.Decode(nil, ids)
		if err != nil {
			return err
		}
		line.Text = string(text)
		out, err := json.Marshal(line)
		if err == nil {
			_, err = f.Write(append(out, '\n'))
		}
		if tokens += line.Tokens; err == nil && o.Progress != nil {
			o.Progress(s.Number+1, tokens)
		}
		return err
	})
	return there, err
}

// written counts the lines that a file holds and leaves it at their end, without what
// follows them.
func written(f *os.File, seed uint64) (n int, err error) {
	r := bufio.NewReader(f)
	end := int64(0)
	for {
		text, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return n, err
		}
		var line Sampled
		if err := json.Unmarshal(text, &line); err != nil || line.Number != n || line.Seed != seed {
			return n, fmt.Errorf("line %d is not text %d of seed %d: it cannot be continued; give another file", n+1, n, seed)
		}
		n, end = n+1, end+int64(len(text))
	}
	if err := f.Truncate(end); err != nil {
		return n, err
	}
	_, err = f.Seek(end, io.SeekStart)
	return n, err
}

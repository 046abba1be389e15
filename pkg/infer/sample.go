package infer

import (
	"context"
	"errors"
	"fmt"
)

// SampleOptions says which texts Sample draws.
type SampleOptions struct {
	// First is the number of the first text, from 0, and Count how many there are from
	// it on: who has texts 0 to 99 goes on with First 100.
	First, Count int
	// Tokens is the length of a text at most, its beginning included; 0 is the model's
	// context.
	Tokens int
	// Begin is what texts begin with, in turn by their numbers: one token at least.
	Begin [][]int32
	// Ends are the ids that end a text.
	Ends []int32
	// Sampler says how tokens are drawn. Each text has a seed of its own, made of
	// Sampler.Seed and its number.
	Sampler SamplerConfig
	// Scheduler has the sizes of the batches; the zero value has 64 texts at once.
	Scheduler SchedulerOptions
}

// Sampled is one text that was drawn.
type Sampled struct {
	Number int
	IDs    []int32 // the beginning and what follows, the token that ended it included
	Ended  bool    // by one of the ends, not by its length
}

// Sample draws texts from a model, many at once, and gives them to each in the order of
// their numbers. A text depends on its number and the seed, not on First or Count; as the
// last bits of a step can depend on what shares it, a draw at the very border between two
// tokens may differ. It ends with the first error of each, or that of ctx.
func Sample(ctx context.Context, src Source, o SampleOptions, each func(Sampled) error) error {
	if err := o.check(src); err != nil {
		return err
	}
	s, err := NewScheduler(src, o.Scheduler)
	if err != nil {
		return err
	}
	defer s.Close()
	if o.Tokens == 0 {
		o.Tokens = s.Context()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var waiting []*Stream
	ahead := min(2*s.o.MaxBatch, s.o.Queue) // so that a text that ends makes room for another
	for n, sent := o.First, o.First; n < o.First+o.Count; n++ {
		for ; sent < o.First+o.Count && len(waiting) < ahead; sent++ {
			stream, err := s.Submit(ctx, o.request(sent))
			if err != nil {
				return err
			}
			waiting = append(waiting, stream)
		}
		text := Sampled{Number: n, IDs: append([]int32(nil), o.begin(n)...)}
		for t, ok := waiting[0].Next(); ok; t, ok = waiting[0].Next() {
			text.IDs = append(text.IDs, t.ID)
		}
		reason, err := waiting[0].Result()
		if err != nil {
			return err
		}
		text.Ended, waiting = reason == Stopped, waiting[1:]
		if err := each(text); err != nil {
			return err
		}
	}
	return nil
}

func (o SampleOptions) check(src Source) error {
	switch {
	case o.First < 0 || o.Count < 0:
		return fmt.Errorf("infer: %d texts from text %d on, expected 0 or more", o.Count, o.First)
	case len(o.Begin) == 0:
		return errors.New("infer: texts to draw need a beginning of at least one token")
	case o.Tokens < 0 || o.Tokens > src.Model.Context():
		return fmt.Errorf("infer: texts of %d tokens, the model's context is %d", o.Tokens, src.Model.Context())
	}
	for _, b := range o.Begin {
		if o.Tokens > 0 && len(b) >= o.Tokens {
			return fmt.Errorf("infer: texts of %d tokens begin with %d, expected fewer", o.Tokens, len(b))
		}
	}
	return o.Sampler.Validate()
}

func (o SampleOptions) begin(n int) []int32 { return o.Begin[n%len(o.Begin)] }

// request is that of text n.
func (o SampleOptions) request(n int) Request {
	begin := o.begin(n)
	r := Request{Prompt: begin, MaxTokens: o.Tokens - len(begin), Sampler: o.Sampler, Stop: o.Ends}
	r.Sampler.Seed = seedOf(o.Sampler.Seed, uint64(n))
	return r
}

// seedOf mixes a seed and a number (splitmix64, https://prng.di.unimi.it/splitmix64.c).
func seedOf(seed, n uint64) uint64 {
	z := seed + (n+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

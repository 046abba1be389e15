package infer

import (
	"context"
	"fmt"
	"slices"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// GenerateOptions says how one text is continued.
type GenerateOptions struct {
	Prompt  []int32 // at least one token
	Tokens  int     // new tokens at most
	Sampler SamplerConfig
	Ends    []int32 // ids that end the text; they are not part of it
	Never   []int32 // ids that are not drawn: rows of the vocabulary without a token
	BF16    bool    // matrix products read a bfloat16 copy of the weights
	Threads int     // worker threads; 0 is one a core
}

// Generate draws tokens that continue a prompt and hands each of them to each, which may
// be nil; an error of each, or of the context, ends it. It is a Scheduler with one request.
func Generate(ctx context.Context, m model.Model, set *param.Set, o GenerateOptions, each func(id int32) error) ([]int32, error) {
	d, ok := m.(model.Decoder)
	if !ok {
		return nil, fmt.Errorf("infer: a model of the family %s cannot generate text", m.Family())
	}
	if o.Tokens < 1 {
		return nil, nil
	}
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	s, err := NewScheduler(Source{Model: d, Set: set, Pool: pool, Never: o.Never}, SchedulerOptions{MaxBatch: 1, BF16: o.BF16, Int8: true, KVBytes: KVBytes(d, set, len(o.Prompt)+o.Tokens)})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	stream, err := s.Submit(ctx, Request{Prompt: o.Prompt, MaxTokens: o.Tokens, Sampler: o.Sampler, Stop: o.Ends})
	if err != nil {
		return nil, err
	}
	var ids []int32
	for {
		t, ok := stream.Next()
		if err := ctx.Err(); err != nil { // what was drawn ahead of each is not wanted any longer
			return ids, err
		}
		if !ok {
			break
		}
		if slices.Contains(o.Ends, t.ID) {
			return ids, nil
		}
		ids = append(ids, t.ID)
		if each == nil {
			continue
		}
		if err := each(t.ID); err != nil {
			return ids, err
		}
	}
	_, err = stream.Result()
	return ids, err
}

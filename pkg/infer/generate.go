package infer

import (
	"context"
	"math"
	"slices"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// GenerateOptions says how one text is continued.
type GenerateOptions struct {
	Tokens  int     // new tokens at most
	Ends    []int32 // ids that end the text; they are not part of it
	Never   []int32 // ids that are not drawn: rows of the vocabulary without a token
	BF16    bool    // matrix products read a bfloat16 copy of the weights
	Threads int     // worker threads; 0 is one a core
}

// Generate draws tokens that continue a prompt of at least one token and hands each of
// them to each, which may be nil; an error of each, or of the context, ends it.
func Generate(ctx context.Context, m model.Model, set *param.Set, prompt []int32, s *Sampler, o GenerateOptions, each func(id int32) error) ([]int32, error) {
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	session, err := NewSession(m, set, pool, SessionOptions{Batch: 1, Capacity: min(m.Context(), len(prompt)+o.Tokens), BF16: o.BF16})
	if err != nil {
		return nil, err
	}
	defer session.Close()
	var ids []int32
	for feed := prompt; len(ids) < o.Tokens; feed = ids[len(ids)-1:] {
		if err := ctx.Err(); err != nil {
			return ids, err
		}
		logits, err := session.Feed(feed)
		if err != nil {
			return ids, err
		}
		for _, id := range o.Never {
			logits[id] = float32(math.Inf(-1))
		}
		id := s.Next(logits)
		if slices.Contains(o.Ends, id) {
			break
		}
		ids = append(ids, id)
		if each != nil {
			if err := each(id); err != nil {
				return ids, err
			}
		}
	}
	return ids, nil
}

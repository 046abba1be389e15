package infer

import (
	"context"
	"slices"
)

// sequence is a request under way.
type sequence struct {
	Request
	sampler *Sampler
	stream  *Stream
	ids     []int32 // the prompt and what was generated
	done    int     // ids whose keys and values are in the arena
	pages   []*page
	places  []int32 // of the pages, in the step under way
	need    int     // pages that it may take in all
	long    bool    // it may become longer than engine.longAfter
	next    score   // of the first token that is not in the arena, where it is known (Echo)
}

func newSequence(ctx context.Context, r Request) (*sequence, error) {
	sampler, err := NewSampler(r.Sampler)
	if err != nil {
		return nil, err
	}
	q := &sequence{Request: r, sampler: sampler, stream: newStream(ctx)}
	q.ids = slices.Clone(r.Prompt)
	q.need = (q.longest() + PageTokens - 1) / PageTokens
	return q, nil
}

// longest is the tokens that it may read: the last one that is generated never is.
func (q *sequence) longest() int { return max(len(q.Prompt), len(q.Prompt)+q.MaxTokens-1) }

// writing reports whether the prompt has been read: one row a step from then on.
func (q *sequence) writing() bool { return len(q.ids) > len(q.Prompt) }

// known reports whether what was said of token i before serves this request.
func (q *sequence) known(i int, s score) bool { return i == 0 || !q.Echo || s.enough(q.Top) }

// tell sends token i of the prompt to the stream.
func (q *sequence) tell(i int, s score) {
	t := Token{ID: q.ids[i], Prompt: true, Logprob: unknown}
	if i > 0 {
		t.Logprob, t.Top = s.logprob, s.cut(t.ID, q.Top)
	}
	q.stream.put(t)
}

// add takes the token that follows, chosen from logits; ended says why it was the last.
func (q *sequence) add(logits []float32) (ended Reason) {
	id := q.sampler.Next(logits)
	t := Token{ID: id, Logprob: unknown}
	if q.Logprobs {
		s := scoreOf(logits, id, q.Top)
		t.Logprob, t.Top = s.logprob, s.top
	}
	q.ids = append(q.ids, id)
	q.stream.put(t)
	for _, stop := range q.Stop {
		if id == stop {
			return Stopped
		}
	}
	if len(q.ids)-len(q.Prompt) == q.MaxTokens {
		return Exhausted
	}
	return ""
}

// pageIDs are the places of its pages.
func (q *sequence) pageIDs() []int32 {
	q.places = q.places[:0]
	for _, p := range q.pages {
		q.places = append(q.places, p.id)
	}
	return q.places
}

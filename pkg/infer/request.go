package infer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
)

// Errors of Submit and of streams.
var (
	// ErrFull is returned when the queue has no room; try again later.
	ErrFull = errors.New("infer: the queue is full")
	// ErrTooLong is returned for a request that can never fit: the context, or the memory for keys and values.
	ErrTooLong = errors.New("infer: the request is too long")
	// ErrClosed is returned once the scheduler was closed.
	ErrClosed = errors.New("infer: the scheduler is closed")
)

// Request is one text to go on with.
type Request struct {
	Prompt    []int32 // at least one token
	MaxTokens int     // new tokens at most; 0 with Echo only scores the prompt
	Sampler   SamplerConfig
	Stop      []int32 // ids that end the text; the one that did is part of the result
	Echo      bool    // the prompt's log-probabilities are wanted as well
	Logprobs  bool    // log-probabilities of the result
	Top       int     // alternatives of each log-probability, 0 to MaxTop
}

// MaxTop is the largest number of alternatives that a request can ask for.
const MaxTop = 20

// Candidate is a token and its log-probability in nats.
type Candidate struct {
	ID      int32
	Logprob float32
}

// Token is one token of a result, or with Echo of its prompt.
type Token struct {
	ID      int32
	Prompt  bool        // part of the prompt
	Logprob float32     // in nats; NaN for the first token of a prompt and where it was not asked for
	Top     []Candidate // the most likely first; the token itself is added behind them where it is not one of them
}

// Reason says why a result ended.
type Reason string

// Reasons.
const (
	Stopped   Reason = "stop"   // one of Request.Stop
	Exhausted Reason = "length" // MaxTokens
)

func (r Request) check(vocab, context int) error {
	switch {
	case len(r.Prompt) == 0:
		return errors.New("infer: the prompt has no tokens")
	case r.MaxTokens < 0 || r.MaxTokens == 0 && !r.Echo:
		return fmt.Errorf("infer: %d tokens are wanted, expected at least 1", r.MaxTokens)
	case r.Top < 0 || r.Top > MaxTop:
		return fmt.Errorf("infer: %d alternatives are wanted, expected 0 to %d", r.Top, MaxTop)
	case len(r.Prompt) > context || r.MaxTokens > context-len(r.Prompt):
		return fmt.Errorf("%w: %d tokens of prompt and %d new ones, the context is %d", ErrTooLong, len(r.Prompt), r.MaxTokens, context)
	}
	for _, id := range r.Prompt {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("infer: token id %d is outside the vocabulary of %d", id, vocab)
		}
	}
	return r.Sampler.Validate()
}

// Stream is the result of a request as it comes. Next is called by one goroutine.
type Stream struct {
	ctx    context.Context
	cancel context.CancelFunc
	ready  chan struct{} // has room for one: something is new

	mu     sync.Mutex
	tokens []Token // not taken yet: a client that does not read never holds the scheduler up
	ended  bool
	reason Reason
	err    error
}

func newStream(ctx context.Context) *Stream {
	s := &Stream{ready: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

// Next waits for the next token; ok is false at the end, of which Result tells.
func (s *Stream) Next() (t Token, ok bool) {
	for {
		s.mu.Lock()
		if len(s.tokens) > 0 {
			t, s.tokens = s.tokens[0], s.tokens[1:]
			s.mu.Unlock()
			return t, true
		}
		ended := s.ended
		s.mu.Unlock()
		if ended {
			return t, false
		}
		<-s.ready
	}
}

// Result says how the stream ended, once Next has returned false.
func (s *Stream) Result() (Reason, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason, s.err
}

// Cancel gives the request up; what it held is free after the step under way.
func (s *Stream) Cancel() { s.cancel() }

// put adds a token.
func (s *Stream) put(t Token) {
	s.mu.Lock()
	s.tokens = append(s.tokens, t)
	s.mu.Unlock()
	s.rouse()
}

// end closes the stream. It is called once.
func (s *Stream) end(r Reason, err error) {
	s.mu.Lock()
	s.ended, s.reason, s.err = true, r, err
	s.mu.Unlock()
	s.rouse()
	s.cancel()
}

// rouse wakes Next.
func (s *Stream) rouse() {
	select {
	case s.ready <- struct{}{}:
	default: // it is to look already
	}
}

var unknown = float32(math.NaN())

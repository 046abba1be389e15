package infer

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Session feeds tokens to a model and keeps the keys and values of what it has
// seen, in the model's own widths. It is used by one goroutine at a time.
type Session struct {
	model     model.Model
	set       *param.Set
	pool      *kernel.Pool
	batch     int
	bf16      bool     // products read bfloat16
	weights16 []uint16 // a copy of the weights as bfloat16, or nil
	cache     *graph.Cache
	slabs     []*param.Slab
	one       *graph.Machine // T = 1
	many      *graph.Machine // T = tokens, the last that was fed at a time
	tokens    int
}

// SessionOptions are a session's sizes.
type SessionOptions struct {
	Batch    int  // sequences
	Capacity int  // tokens that each can reach
	BF16     bool // matrix products read bfloat16: a copy of the weights, rounded once, and activations
}

// NewSession makes a session for a model.
func NewSession(m model.Model, set *param.Set, pool *kernel.Pool, o SessionOptions) (*Session, error) {
	batch, capacity := o.Batch, o.Capacity
	if capacity > m.Context() {
		return nil, fmt.Errorf("infer: %d tokens are wanted, but the model's context is %d", capacity, m.Context())
	}
	s := &Session{model: m, set: set, pool: pool, batch: batch}
	s.cache = &graph.Cache{Capacity: capacity, Pos: make([]int32, batch)}
	for _, w := range m.Cache(set) {
		k, v := param.NewSlab(batch*capacity*w[0]), param.NewSlab(batch*capacity*w[1])
		s.slabs = append(s.slabs, k, v)
		s.cache.K, s.cache.V = append(s.cache.K, k.Data), append(s.cache.V, v.Data)
	}
	if s.bf16 = o.BF16; o.BF16 && set.Float32() == nil {
		copied := param.NewSlab((set.Len() + 1) / 2)
		s.slabs = append(s.slabs, copied)
		s.weights16 = copied.BF16()[:set.Len()]
		kernel.ToBF16(s.weights16, set.Weights.Data)
	}
	return s, nil
}

// Close releases the session's memory.
func (s *Session) Close() {
	for _, slab := range s.slabs {
		slab.Close()
	}
	for _, m := range []*graph.Machine{s.one, s.many} {
		if m != nil {
			m.Close()
		}
	}
}

// Bytes is the memory that the session has mapped beside the model's weights: keys
// and values, weights as bfloat16, activations.
func (s *Session) Bytes() (n int64) {
	for _, slab := range s.slabs {
		n += 4 * int64(len(slab.Data))
	}
	for _, m := range []*graph.Machine{s.one, s.many} {
		if m != nil {
			n += m.Plan().ArenaBytes()
		}
	}
	return n
}

// Feed gives every sequence T = len(ids)/batch more tokens, ids [batch, T], and
// returns the logits behind the last of each, [batch, V]: a view that the next
// call overwrites.
func (s *Session) Feed(ids []int32) ([]float32, error) {
	t := len(ids) / s.batch
	if t < 1 || t*s.batch != len(ids) {
		return nil, fmt.Errorf("infer: %d ids for %d sequences", len(ids), s.batch)
	}
	if int(s.cache.Pos[0])+t > s.cache.Capacity {
		return nil, fmt.Errorf("infer: %d tokens are behind, %d more do not fit the session's %d", s.cache.Pos[0], t, s.cache.Capacity)
	}
	m, err := s.machine(t)
	if err != nil {
		return nil, err
	}
	if err := m.SetInts("ids", ids); err != nil {
		return nil, err
	}
	if err := m.RunAll(); err != nil {
		return nil, err
	}
	for i := range s.cache.Pos {
		s.cache.Pos[i] += int32(t)
	}
	return m.Output("logits"), nil
}

// machine feeds t tokens at a time. The one for single tokens is kept, and the
// newest for several.
func (s *Session) machine(t int) (*graph.Machine, error) {
	switch {
	case t == 1 && s.one != nil:
		return s.one, nil
	case t > 1 && t == s.tokens:
		return s.many, nil
	}
	o := graph.LowerOptions{Pool: s.pool, BF16: s.weights16}
	if t > 1 {
		o.Reuse, s.many, s.tokens = s.many, nil, 0
	}
	b := graph.NewBuilder(s.set, graph.BuildOptions{BF16: s.bf16, Int8: true})
	s.model.Decode(b, s.cache, s.batch, t, false)
	m, err := b.Lower(o)
	if err != nil {
		return nil, err
	}
	if t == 1 {
		s.one = m
	} else {
		s.many, s.tokens = m, t
	}
	return m, nil
}

// FLOPs is the work of the matrix products of one more token of every sequence;
// 0 before the first was fed alone.
func (s *Session) FLOPs() int64 {
	if s.one == nil {
		return 0
	}
	return s.one.Plan().FLOPs()
}

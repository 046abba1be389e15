package infer

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Embedder makes vectors of texts with an encoder. One call of Embed at a time; Close gives
// up the memory that is kept from one to the next.
type Embedder struct {
	Model     model.Encoder
	Set       *param.Set
	Pool      *kernel.Pool
	Pooling   model.Pooling
	Normalize bool                 // vectors of length 1
	Batch     int                  // texts a pass; default 32
	Progress  func(done, of int64) // is told of texts after every pass; may be nil

	passes []*pass // the newest last
}

// keptPasses is how many graphs are kept for texts of other lengths and numbers.
const keptPasses = 4

// Close gives up the memory.
func (e *Embedder) Close() {
	for _, p := range e.passes {
		p.machine.Close()
	}
	e.passes = nil
}

// pass is the graph of B texts of T tokens, kept or new.
func (e *Embedder) pass(B, T int) (*pass, error) {
	at := slices.IndexFunc(e.passes, func(p *pass) bool { return p.B == B && p.T == T })
	if at >= 0 {
		p := e.passes[at]
		e.passes = append(slices.Delete(e.passes, at, at+1), p)
		return p, nil
	}
	if len(e.passes) == keptPasses {
		e.passes[0].machine.Close()
		e.passes = slices.Delete(e.passes, 0, 1)
	}
	p, err := e.lower(B, T)
	if err == nil {
		e.passes = append(e.passes, p)
	}
	return p, err
}

// Embed returns a vector [E] for each text, given as token ids with what the tokenizer's
// template adds. Texts of like lengths are computed together, padded to the longest of
// them; a token sees no padding, so that a vector does not depend on the others. An empty
// text, or one longer than the model's context, is an error.
func (e *Embedder) Embed(ctx context.Context, texts [][]int32) ([][]float32, error) {
	order := make([]int, len(texts))
	for i, t := range texts {
		if order[i] = i; len(t) < 1 || len(t) > e.Model.Context() {
			return nil, fmt.Errorf("infer: text %d has %d tokens, expected 1 to %d", i+1, len(t), e.Model.Context())
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(texts[b]) - len(texts[a]) })
	out, done := make([][]float32, len(texts)), 0
	batch := e.Batch
	if batch == 0 {
		batch = 32
	}
	for _, of := range slices.Collect(slices.Chunk(order, batch)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rows := min(batch, len(texts))
		length := min(e.Model.Context(), (len(texts[of[0]])+7)/8*8) // few different graphs
		p, err := e.pass(rows, length)
		if err != nil {
			return nil, err
		}
		hidden, err := p.run(texts, of)
		if err != nil {
			return nil, err
		}
		if done += len(of); e.Progress != nil {
			e.Progress(int64(done), int64(len(texts)))
		}
		for row, i := range of {
			out[i] = e.vector(hidden[row*length*e.Model.Arch().Hidden:], len(texts[i]))
		}
	}
	return out, nil
}

// vector pools the hidden states of n tokens.
func (e *Embedder) vector(hidden []float32, n int) []float32 {
	width := e.Model.Arch().Hidden
	if e.Pooling == model.CLSPooling {
		n = 1
	}
	v := make([]float32, width)
	length := 0.0
	for c := range v {
		sum := 0.0
		for t := range n {
			sum += float64(hidden[t*width+c])
		}
		sum /= float64(n)
		v[c] = float32(sum)
		length += sum * sum
	}
	if length = math.Sqrt(length); e.Normalize && length > 0 {
		for c := range v {
			v[c] = float32(float64(v[c]) / length)
		}
	}
	return v
}

// pass is a graph of B texts of T tokens, and its inputs [B·T].
type pass struct {
	B, T             int
	machine          *graph.Machine
	ids, starts, pos []int32
}

func (e *Embedder) lower(B, T int) (*pass, error) {
	p := &pass{B: B, T: T, ids: make([]int32, B*T), starts: make([]int32, B*T), pos: make([]int32, B*T)}
	b := graph.NewBuilder(e.Set, graph.BuildOptions{Documents: true})
	b.Output("hidden", e.Model.Hidden(b, B, T))
	var err error
	p.machine, err = b.Lower(graph.LowerOptions{Pool: e.Pool})
	return p, err
}

// run computes the hidden states of the texts that of lists; other rows are padding.
func (p *pass) run(texts [][]int32, of []int) ([]float32, error) {
	for row := range p.B {
		var text []int32
		if row < len(of) {
			text = texts[of[row]]
		}
		for t := range p.T {
			at := row*p.T + t
			p.pos[at] = int32(t)
			if t < len(text) {
				p.ids[at], p.starts[at] = text[t], 0
			} else {
				p.ids[at], p.starts[at] = 0, int32(p.T)
			}
		}
	}
	for name, v := range map[string][]int32{"ids": p.ids, "starts": p.starts, "pos": p.pos} {
		if err := p.machine.SetInts(name, v); err != nil {
			return nil, err
		}
	}
	if err := p.machine.RunAll(); err != nil {
		return nil, err
	}
	return p.machine.Output("hidden"), nil
}

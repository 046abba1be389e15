package bench

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Modes times prefill of 1 x 1024 tokens, decoding of one sequence, and of 16 at once.
func (o Options) Modes() (rows []Result, err error) {
	for _, mode := range []struct {
		decode     bool
		batch, seq int
		steps      int
	}{{false, 1, 1024, o.Steps}, {true, 1, 64, 8 * o.Steps}, {true, 16, 64, 4 * o.Steps}} {
		one := o
		one.Decode, one.Last, one.Batch, one.Seq, one.Steps = mode.decode, !mode.decode, mode.batch, mode.seq, mode.steps
		row, err := one.Infer()
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Infer times forward passes on random inputs: all logits, with o.Last prefill, with
// o.Decode single tokens.
func (o Options) Infer() (r Result, err error) {
	steps := o.Steps
	room := o
	if o.Decode {
		room.Seq += steps + o.readSteps()
	}
	m, set, err := room.Build()
	if err != nil {
		return r, err
	}
	defer set.Close()
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	o.peak = o.rate(pool)
	if o.Decode {
		return o.decode(m, set, pool)
	}
	b := graph.NewBuilder(set, graph.BuildOptions{BF16: o.BF16, Int8: o.Last})
	m.Decode(b, o.Batch, o.Seq, !o.Last)
	bits, free := o.bf16(set)
	defer free()
	mc, err := b.Lower(graph.LowerOptions{Pool: pool, BF16: bits})
	if err != nil {
		return r, err
	}
	defer mc.Close()
	if err := NewNoise(m, o.Batch, o.Seq).Batch().FeedInputs(mc); err != nil {
		return r, err
	}
	ms, heap, err := TimedHeap(steps, mc.RunAll)
	if err != nil {
		return r, err
	}
	mode := "infer"
	if o.Last {
		mode = "prefill"
	}
	r = o.result(mode, set, pool, ms, float64(mc.Plan().FLOPs()))
	r.HeapStep, r.Planned = heap, (set.WeightBytes()+2*int64(len(bits))+mc.Plan().ArenaBytes())>>20
	return r, nil
}

// bf16 is the weights as bfloat16 where the benchmark is of that type.
func (o Options) bf16(set *param.Set) (bits []uint16, free func()) {
	if !o.BF16 {
		return nil, func() {}
	}
	s := param.NewSlab((set.Len() + 1) / 2)
	bits = s.BF16()[:set.Len()]
	kernel.ToBF16(bits, set.Weights.Data)
	return bits, s.Close
}

// readRows is how many rows of prompts a scheduler reads in a step of a benchmark, and
// readSteps bounds the steps in which texts whose prompts were read first are ahead of others.
const readRows = 128

func (o Options) readSteps() int { return 3 + o.Batch*o.Seq/readRows }

// decode times the steps of a scheduler that continues o.Batch texts of o.Seq tokens at
// once, by their most likely tokens.
func (o Options) decode(m model.Model, set *param.Set, pool *kernel.Pool) (r Result, err error) {
	d, ok := m.(model.Decoder)
	if !ok {
		return r, refused("%s does not continue text", o.Model)
	}
	how := infer.SchedulerOptions{MaxBatch: o.Batch, Chunk: o.Batch + readRows, BF16: o.BF16, Int8: true}
	how.KVBytes = int64(o.Batch) * infer.KVBytes(m, set, m.Context())
	s, err := infer.NewScheduler(infer.Source{Model: d, Set: set, Pool: pool}, how)
	if err != nil {
		return r, err
	}
	defer s.Close()
	var streams []*infer.Stream
	for ids := range slices.Chunk(NewNoise(m, o.Batch, o.Seq).Batch().IDs, o.Seq) {
		q := infer.Request{Prompt: ids, MaxTokens: m.Context() - o.Seq, Sampler: infer.SamplerConfig{TopP: 1}}
		stream, err := s.Submit(context.Background(), q)
		if err != nil {
			return r, err
		}
		streams = append(streams, stream)
	}
	step := func() error {
		for _, stream := range streams {
			if _, ok := stream.Next(); !ok {
				_, err := stream.Result()
				return cmp.Or(err, errors.New("bench: a text ended before the last step"))
			}
		}
		return nil
	}
	if err := step(); err != nil { // reads the prompts
		return r, err
	}
	ms, heap, err := TimedHeap(o.Steps, step)
	if err != nil {
		return r, err
	}
	for _, stream := range streams { // so that the pool is free
		stream.Cancel()
		for ok := true; ok; {
			_, ok = stream.Next()
		}
	}
	work, err := infer.PlanFootprint(m, set, o.Batch, 1)
	if err != nil {
		return r, err
	}
	r = o.result("decode", set, pool, ms, float64(o.Batch)*work.FLOPs)
	r.HeapStep, r.Planned = heap, (set.WeightBytes()+s.Bytes())>>20
	r.ReadGBs = kernel.ReadBandwidth(pool) / 1e9
	r.ReadShare = o.reads(m, set) / (ms / 1e3) / 1e9 / r.ReadGBs
	return r, nil
}

// reads is the bytes that a step of decoding reads at least: every weight of a
// product once, and the keys and values of half the steps' tokens.
func (o Options) reads(m model.Model, set *param.Set) float64 {
	n := float64(set.Count())
	if set.Param("head") != nil { // else the head reads the embedding
		n -= float64(set.Param("embed").Size())
	}
	if p := set.Param("positions"); p != nil {
		n -= float64(p.Size())
	}
	bytes := 4 * n
	switch {
	case o.BF16:
		bytes = 2 * n
	case o.Q8:
		bytes = n / kernel.Q8Block * kernel.Q8Bytes
	}
	for _, w := range m.Cache(set) {
		bytes += 4 * float64(o.Batch*(o.Seq+o.Steps/2)*(w[0]+w[1]))
	}
	return bytes
}

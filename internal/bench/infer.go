package bench

import (
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
		room.Seq += steps + 1
	}
	m, set, err := room.Build()
	if err != nil {
		return r, err
	}
	defer set.Weights.Close()
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	o.peak = o.rate(pool)
	if o.Decode {
		return o.decode(m, set, pool)
	}
	b := graph.NewBuilder(set, graph.BuildOptions{BF16: o.BF16, Int8: o.Last})
	m.Decode(b, nil, o.Batch, o.Seq, !o.Last)
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

// decode times single tokens after a prefix.
func (o Options) decode(m model.Model, set *param.Set, pool *kernel.Pool) (r Result, err error) {
	s, err := infer.NewSession(m, set, pool, infer.SessionOptions{Batch: o.Batch, Capacity: o.Seq + o.Steps + 1, BF16: o.BF16})
	if err != nil {
		return r, err
	}
	defer s.Close()
	ids := NewNoise(m, o.Batch, o.Seq).Batch().IDs
	if _, err := s.Feed(ids); err != nil {
		return r, err
	}
	ms, heap, err := TimedHeap(o.Steps, func() error { _, err := s.Feed(ids[:o.Batch]); return err })
	if err != nil {
		return r, err
	}
	r = o.result("decode", set, pool, ms, float64(s.FLOPs()))
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

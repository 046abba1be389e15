package infer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Source is a model that can run: its description, its parameters and the
// workers of its products.
type Source struct {
	Model model.Decoder
	Set   *param.Set
	Pool  *kernel.Pool
	Never []int32 // ids that are not drawn: rows of the vocabulary without a token
}

// engine runs the steps of a scheduler: any rows of any sequences at once.
type engine struct {
	Source
	vocab     int
	drawn     int // the ids before it may be drawn, but for never
	never     []int32
	pages     int
	pageBytes int64
	bf16      bool     // products read bfloat16
	int8      bool     // products multiply weights of Q8 as integers
	weights16 []uint16 // a copy of the weights as bfloat16, or nil
	slabs     []*param.Slab
	arena     *param.Slab // of the values of a step, whatever its size
	cache     *graph.Cache
	machines  map[size]*sized
	runs      int64
	ids, pick []int32
	longAfter int // texts that may become longer turn by other frequencies; 0 for none
}

// size is a machine's number of rows and of rows whose logits are made.
type size struct{ rows, logits int }

// sized is the machine of a size, and when it ran last.
type sized struct {
	*graph.Machine
	used int64
}

// maxMachines bounds how many descriptions of steps are kept: the size not used for
// longest makes room.
const maxMachines = 64

func newEngine(src Source, o SchedulerOptions) (*engine, error) {
	e := &engine{Source: src, vocab: src.Model.Vocab(), machines: map[size]*sized{}, int8: o.Int8}
	e.never = slices.Sorted(slices.Values(src.Never))
	for e.drawn = e.vocab; len(e.never) > 0 && e.drawn > 1 && e.never[len(e.never)-1] == int32(e.drawn-1); e.drawn-- {
		e.never = e.never[:len(e.never)-1] // tables are often longer than the vocabulary
	}
	widths := src.Model.Cache(src.Set)
	e.pageBytes = bytesPerPage(src.Model, src.Set)
	bytes := o.KVBytes
	if bytes == 0 {
		whole := int64(src.Model.Context()+PageTokens-1) / PageTokens
		bytes = e.pageBytes * max(whole, int64(o.MaxBatch)*512/PageTokens)
	}
	if e.pages = int(bytes / e.pageBytes); e.pages < 1 {
		return nil, fmt.Errorf("infer: %d bytes for keys and values hold no page of %d tokens, which takes %d", bytes, PageTokens, e.pageBytes)
	}
	e.cache = &graph.Cache{Capacity: src.Model.Context(), Pos: make([]int32, 2*o.Chunk), PageTokens: PageTokens}
	if e.longAfter = model.LongAfter(src.Model); e.longAfter > 0 {
		e.cache.Long = make([]bool, 2*o.Chunk)
	}
	for _, w := range widths {
		k, v := param.NewSlab(e.pages*PageTokens*w[0]), param.NewSlab(e.pages*PageTokens*w[1])
		e.slabs = append(e.slabs, k, v)
		e.cache.K, e.cache.V = append(e.cache.K, k.Data), append(e.cache.V, v.Data)
	}
	plan, err := e.build(size{upTo(o.Chunk), upTo(o.Chunk)}).Plan(graph.PlanOptions{})
	if err != nil {
		e.close()
		return nil, err
	}
	e.arena = param.NewSlab(int(plan.ArenaBytes() / 4))
	e.slabs = append(e.slabs, e.arena)
	if e.bf16 = o.BF16; o.BF16 && src.Set.Float32() == nil {
		copied := param.NewSlab((src.Set.Len() + 1) / 2)
		e.slabs = append(e.slabs, copied)
		e.weights16 = copied.BF16()[:src.Set.Len()]
		kernel.ToBF16(e.weights16, src.Set.Weights.Data)
	}
	return e, nil
}

func (e *engine) close() {
	for _, s := range e.slabs {
		s.Close()
	}
	for _, m := range e.machines {
		m.Close()
	}
}

// copyPage copies the keys and values of the first n tokens of a page.
func (e *engine) copyPage(to, from int32, n int) {
	for i, w := range e.Model.Cache(e.Set) {
		g := model.Layer(e.Set, i).KV
		e.cache.CopyPage(i, graph.PageCopy{To: to, From: from, Tokens: n, Heads: g, QK: w[0] / g, VO: w[1] / g})
	}
}

// run reads the rows of all spans and returns the logits that they ask for, [count,
// V], until the next run.
func (e *engine) run(spans []span) ([]float32, error) {
	rows, logits := 0, 0
	for i := range spans {
		spans[i].row = rows
		rows += len(spans[i].ids)
		logits += spans[i].count
	}
	sz := size{upTo(rows), upTo(max(1, logits))}
	m, err := e.machine(sz)
	if err != nil {
		return nil, err
	}
	e.ids, e.pick = fill(e.ids, sz.rows), fill(e.pick, sz.logits)
	e.cache.Spans = e.cache.Spans[:0]
	clear(e.cache.Pos)
	clear(e.cache.Long)
	for _, sp := range spans {
		n := len(sp.ids)
		copy(e.ids[sp.row:], sp.ids)
		for i := range sp.count {
			e.pick[sp.first+i] = int32(sp.row + n - sp.count + i)
		}
		for i := range n {
			e.cache.Pos[sp.row+i] = int32(sp.q.done + i)
			if e.longAfter > 0 {
				e.cache.Long[sp.row+i] = sp.q.long
			}
		}
		e.cache.Spans = append(e.cache.Spans, kernel.Span{Row: sp.row, N: n, Pos: sp.q.done, Pages: sp.q.pageIDs()})
	}
	if err := m.SetInts("ids", e.ids); err != nil {
		return nil, err
	}
	if err := m.SetInts("rows", e.pick); err != nil {
		return nil, err
	}
	if err := m.RunAll(); err != nil {
		return nil, err
	}
	return m.Output("logits"), nil
}

// machine is the machine of a size, made where there is none.
func (e *engine) machine(sz size) (*graph.Machine, error) {
	e.runs++
	if m, ok := e.machines[sz]; ok {
		m.used = e.runs
		return m.Machine, nil
	}
	if len(e.machines) == maxMachines {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(e.machines)), func(a, b size) int { return cmp.Compare(e.machines[a].used, e.machines[b].used) })
		e.machines[oldest].Close()
		delete(e.machines, oldest)
	}
	m, err := e.build(sz).Lower(graph.LowerOptions{Pool: e.Pool, BF16: e.weights16, Arena: e.arena})
	if err == nil {
		e.machines[sz] = &sized{m, e.runs}
	}
	return m, err
}

// build describes a step.
func (e *engine) build(sz size) *graph.Builder {
	b := graph.NewBuilder(e.Set, graph.BuildOptions{BF16: e.bf16, Int8: e.int8})
	h := e.Model.HiddenRows(b, e.cache, sz.rows, b.IDs("rows", sz.logits))
	b.Output("logits", e.Model.Logits(b, h))
	return b
}

// upTo is the next of the sizes that machines are made for: 1, 2, and multiples of 4, of 8
// from 64 on, of 16 from 128 on, and so forth, so that few rows of a step are computed for
// nobody.
func upTo(n int) int {
	if n <= 2 {
		return n
	}
	step := 4
	for 16*step < n {
		step *= 2
	}
	return (n + step - 1) / step * step
}

// KVBytes is the memory for keys and values of a text of so many tokens.
func KVBytes(m model.Model, set *param.Set, tokens int) int64 {
	return int64(tokens+PageTokens-1) / PageTokens * bytesPerPage(m, set)
}

// bytesPerPage is the memory of a page of keys and values.
func bytesPerPage(m model.Model, set *param.Set) (n int64) {
	for _, w := range m.Cache(set) {
		n += 4 * PageTokens * int64(w[0]+w[1])
	}
	return n
}

// fill is n zeros in x's memory.
func fill(x []int32, n int) []int32 {
	if cap(x) < n {
		return make([]int32, n)
	}
	x = x[:n]
	clear(x)
	return x
}

package kernel

import "math"

// A key/value cache of one layer is two slices, k [B, G, cap, QK] and
// v [B, G, cap, VO]: the rows of one K/V head are adjacent, so that decoding reads
// memory in one stream, in the pruned widths. cap is the number of tokens that a
// sequence may reach. Keys are kept rotated.

type cacheArgs struct {
	k, v, qkv []float32
	pos       []int32
	s         AttnShape
	capacity  int
}

// CacheAppend copies the k and v parts of qkv [B·T, Width] into the cache, at
// token pos[b] + t of sequence b. kcache is [B, G, capacity, QK] and vcache
// [B, G, capacity, VO].
func CacheAppend(p *Pool, kcache, vcache, qkv []float32, s AttnShape, capacity int, pos []int32) {
	a := cacheArgs{k: kcache, v: vcache, qkv: qkv, pos: pos, s: s, capacity: capacity}
	a.check()
	cacheLoop.run(p, s.B*s.G, a)
}

var cacheLoop = newLoop(func(a *cacheArgs, worker, chunk int) {
	s := &a.s
	b, g := chunk/s.G, chunk%s.G
	for t := range s.T {
		row := a.qkv[(b*s.T+t)*s.Width():]
		at := chunk*a.capacity + int(a.pos[b]) + t
		copy(a.k[at*s.QK:][:s.QK], row[s.kCol(g):])
		copy(a.v[at*s.VO:][:s.VO], row[s.vCol(g):])
	}
})

func (a *cacheArgs) check() {
	s := &a.s
	s.check()
	need(a.qkv, s.B*s.T*s.Width())
	need(a.k, s.B*s.G*a.capacity*s.QK)
	need(a.v, s.B*s.G*a.capacity*s.VO)
	need(a.pos, s.B)
	for _, n := range a.pos[:s.B] {
		if n < 0 || int(n)+s.T > a.capacity {
			panic(badCache)
		}
	}
}

const badCache = "kernel: position outside the key/value cache"

// AttentionDecode is causal attention of T new tokens a sequence over the cache:
// token t of sequence b, at position pos[b] + t, sees cache rows 0..pos[b]+t, its
// own included, or the last Window of these; so CacheAppend comes first. ctx is [B·T, G·R·VO]; of qkv
// [B·T, Width] only the q part is read; the cache is as in CacheAppend. s.Causal
// must be set. No gradient.
func AttentionDecode(p *Pool, ctx, qkv, kcache, vcache []float32, s AttnShape, capacity int, pos []int32) {
	if !s.Causal {
		panic(badShape)
	}
	a := cacheArgs{k: kcache, v: vcache, qkv: qkv, pos: pos, s: s, capacity: capacity}
	a.check()
	need(ctx, s.B*s.T*s.G*s.R*s.VO)
	d := attnArgs{
		p: p, ctx: Rows{F32: ctx}, qkv: Rows{F32: qkv}, s: s, pos: pos,
		k: headRows{Rows{F32: kcache}, 0, s.G * capacity * s.QK, capacity * s.QK, s.QK},
		v: headRows{Rows{F32: vcache}, 0, s.G * capacity * s.VO, capacity * s.VO, s.VO},
	}
	if s.T*s.R > maxPanel {
		attnLoop.run(p, s.B*s.G*s.tiles(), d)
		return
	}
	longest := 0
	for _, n := range pos[:s.B] {
		longest = max(longest, int(n)+s.T-s.oldest(int(n)))
	}
	splits := (longest + splitKeys - 1) / splitKeys
	parts := s.B * s.G * splits * s.T * s.R * (s.VO + 2)
	f := fewArgs{attnArgs: d, splits: splits, parts: p.Scratch(0, parts+fewScratch(&s))}
	f.own, f.parts = f.parts[parts:], f.parts[:parts]
	fewLoop.run(p, s.B*s.G*splits, f)
	joinLoop.run(p, s.B*s.G, f)
}

// splitKeys is the number of keys of a chunk when there are few queries: reading
// the cache is all the work then, and it is shared out by keys.
const splitKeys = 512

// oldest is the first key that the token at position t sees, without starts.
func (s *AttnShape) oldest(t int) int {
	b := bounds{s: s}
	return b.first(t)
}

type fewArgs struct {
	attnArgs
	splits int
	parts  []float32 // [B, G, splits, rows, VO+2]: peak, sum, and the sum's context
	own    []float32 // worker 0's scratch: the rest of its is parts
}

func fewScratch(s *AttnShape) int { return s.T * s.R * (s.QK + attnKeys) }

// Each chunk is all queries of one K/V head against splitKeys keys.
var fewLoop = newLoop(func(a *fewArgs, worker, chunk int) {
	s, rows := &a.s, a.s.T*a.s.R
	buf := a.own
	if worker > 0 {
		buf = a.p.Scratch(worker, fewScratch(s))
	}
	t := &a.p.lanes[worker].block
	part := a.parts[chunk*rows*(s.VO+2):][:rows*(s.VO+2)]
	state, o := cut(part, 2*rows)
	freshSoftmax(state)
	q, buf := cut(buf, rows*s.QK)
	b, g := chunk/a.splits/s.G, chunk/a.splits%s.G
	past := int(a.pos[b])
	first := s.oldest(past) + chunk%a.splits*splitKeys
	last := min(first+splitKeys, past+s.T)
	current.vecOps.gather(q, a.qkv.F32[b*s.T*s.Width()+s.qCol(g, 0):], s.T, s.R*s.QK, s.R*s.QK, s.Width())
	current.vecOps.affine(q, q, s.Scale*math.Log2E, 0) // scores of base 2
	f := flashTile{bounds: s.bounds(nil, b, past)}
	for k0 := first; k0 < last; k0 += attnKeys {
		n := min(attnKeys, last-k0)
		keys := a.k.from(b, g, k0)
		for i := range rows {
			current.vecOps.dots(buf[i*attnKeys:][:n], q[i*s.QK:][:s.QK], keys, s.QK)
		}
		f.cap(buf, rows, n)
		f.hide(buf, past, 0, rows, k0, n)
		vo := s.VO
		if k0 == first {
			vo = 0 // no context yet
		}
		current.vecOps.softmax(buf, o, state, n, attnKeys, vo)
		mulBlock(t, o, s.VO, buf, attnKeys, 1, a.v.from(b, g, k0), s.VO, rows, n, s.VO, k0 > first) // (rows, VO)
	}
})

// joinLoop adds up the parts of one K/V head under their common peak.
var joinLoop = newLoop(func(a *fewArgs, worker, head int) {
	s, rows := &a.s, a.s.T*a.s.R
	size := rows * (s.VO + 2)
	parts := a.parts[head*a.splits*size:][:a.splits*size]
	for i := range rows {
		peak := float32(math.Inf(-1))
		for p := 0; p < len(parts); p += size {
			peak = max(peak, parts[p+2*i])
		}
		b, g := head/s.G, head%s.G
		ctx := a.ctx.F32[((b*s.T+i/s.R)*s.G*s.R+g*s.R+i%s.R)*s.VO:][:s.VO]
		clear(ctx)
		var sum float32
		for p := 0; p < len(parts); p += size {
			state, o := parts[p+2*i:][:2], parts[p+2*rows+i*s.VO:][:s.VO]
			if state[0] < masked/2 {
				continue // no key of this part is seen
			}
			f := float32(math.Exp2(float64(state[0] - peak)))
			sum += f * state[1]
			for j, v := range o {
				ctx[j] += f * v
			}
		}
		current.vecOps.affine(ctx, ctx, 1/sum, 0)
	}
})

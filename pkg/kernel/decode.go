package kernel

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
// own included, so CacheAppend comes first. ctx is [B·T, G·R·VO]; of qkv
// [B·T, Width] only the q part is read; the cache is as in CacheAppend. s.Causal
// must be set. No gradient.
func AttentionDecode(p *Pool, ctx, qkv, kcache, vcache []float32, s AttnShape, capacity int, pos []int32) {
	if !s.Causal {
		panic(badShape)
	}
	a := cacheArgs{k: kcache, v: vcache, qkv: qkv, pos: pos, s: s, capacity: capacity}
	a.check()
	need(ctx, s.B*s.T*s.G*s.R*s.VO)
	attnLoop.run(p, s.B*s.G*s.tiles(), attnArgs{
		p: p, ctx: ctx, qkv: qkv, s: s, pos: pos,
		k: headRows{kcache, 0, s.G * capacity * s.QK, capacity * s.QK, s.QK},
		v: headRows{vcache, 0, s.G * capacity * s.VO, capacity * s.VO, s.VO},
	})
}

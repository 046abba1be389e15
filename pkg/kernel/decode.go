package kernel

// A key/value cache of one layer is two slices, k [B, G, cap, QK] and
// v [B, G, cap, VO]: the rows of one K/V head are adjacent, so that decoding reads
// memory in one stream, in the pruned widths. cap is the number of tokens that a
// sequence may reach. Keys are kept rotated.

type cacheArgs struct {
	p              *Pool
	ctx, k, v, qkv []float32
	pos            []int32
	s              AttnShape
	capacity       int
	tiles          int
}

// CacheAppend copies the k and v parts of qkv [B·T, Width] into the cache, at
// token pos[b] + t of sequence b. kcache is [B, G, capacity, QK] and vcache
// [B, G, capacity, VO].
func CacheAppend(p *Pool, kcache, vcache, qkv []float32, s AttnShape, capacity int, pos []int32) {
	a := cacheArgs{p: p, k: kcache, v: vcache, qkv: qkv, pos: pos, s: s, capacity: capacity}
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
	a := cacheArgs{p: p, ctx: ctx, k: kcache, v: vcache, qkv: qkv, pos: pos, s: s, capacity: capacity, tiles: s.tiles()}
	a.check()
	need(ctx, s.B*s.T*s.G*s.R*s.VO)
	if s.T > 0 {
		decodeLoop.run(p, s.B*s.G*a.tiles, a)
	}
}

var decodeLoop = newLoop(func(a *cacheArgs, worker, chunk int) {
	s := &a.s
	heads := s.B * s.G
	b, g := chunk%heads/s.G, chunk%heads%s.G
	t0 := (a.tiles - 1 - chunk/heads) * s.tokens()
	n := min(s.tokens(), s.T-t0)
	rows := n * s.R
	past := int(a.pos[b])

	buf := a.p.Scratch(worker, rows*(s.QK+s.VO+attnKeys+2))
	q, buf := cut(buf, rows*s.QK)
	o, buf := cut(buf, rows*s.VO)
	state, buf := cut(buf, 2*rows)
	gather(q, a.qkv[(b*s.T+t0)*s.Width()+s.qCol(g, 0):], n, s.R, s.QK, s.Width())
	current.verbs.affine(q, q, s.Scale, 0)
	freshSoftmax(state)
	at := (b*s.G + g) * a.capacity
	for k0, keys := 0, past+t0+n; k0 < keys; k0 += attnKeys {
		nk := min(attnKeys, keys-k0)
		k := Mat(a.k[(at+k0)*s.QK:][:nk*s.QK], nk, s.QK)
		v := Mat(a.v[(at+k0)*s.VO:][:nk*s.VO], nk, s.VO)
		sc := Mat(buf[:rows*nk], rows, nk)
		matTile(a.p, worker, sc, Mat(q, rows, s.QK), k, Product{TransB: true})
		for i := range rows {
			row := sc.Data[i*nk:][:nk]
			seen := s.seen(past+t0+i/s.R, k0, nk)
			clear(row[seen:])
			if seen > 0 {
				current.verbs.step(row[:seen], o[i*s.VO:][:s.VO], softmaxState(state, i))
			}
		}
		matTile(a.p, worker, Mat(o, rows, s.VO), sc, v, Product{Accumulate: k0 > 0})
	}
	for i := range rows {
		t, h := t0+i/s.R, g*s.R+i%s.R
		dst := a.ctx[((b*s.T+t)*s.G*s.R+h)*s.VO:][:s.VO]
		current.verbs.affine(dst, o[i*s.VO:], 1/state[2*i+1], 0)
	}
})

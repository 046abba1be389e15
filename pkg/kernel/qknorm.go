package kernel

// QKNorm is the settings of a norm of queries and keys, by the root of the mean
// square of each head, or of all heads together.
type QKNorm struct {
	Eps      float32
	AllHeads bool // one mean over all query heads and one over all key heads of a row
	PlusOne  bool // the gain is 1 + gain
	// Over is the number of columns that the mean square of a head (with AllHeads: of
	// the query heads) is taken over, where the model has fewer than it was trained
	// with: the missing ones count as zeros. 0 is those that there are. With AllHeads
	// the keys' is Over/R.
	Over int
}

// Stats is how many statistics a row has: see QKNormForward.
func (o *QKNorm) Stats(s *AttnShape) int {
	if o.AllHeads {
		return 2
	}
	return s.G * (s.R + 1)
}

type qkNormArgs struct {
	p                 *Pool
	y, rstd, dy, gain []float32 // gain [G·(R+1)·QK], one for each column
	x                 Rows
	s                 AttnShape
	o                 QKNorm
	want              [2]bool // gradients of the queries' gains, of the keys'
	chunks            int
}

// part is the columns that statistic i is taken of, and how many it is a mean over.
func (a *qkNormArgs) part(i int) (col, width, over int) {
	s := &a.s
	switch {
	case !a.o.AllHeads:
		col, width, over = i*s.QK, s.QK, a.o.Over
	case i == 0:
		col, width, over = 0, s.G*s.R*s.QK, a.o.Over
	default:
		col, width, over = s.G*s.R*s.QK, s.G*s.QK, a.o.Over/s.R
	}
	if over == 0 {
		over = width
	}
	return col, width, over
}

// QKNormForward normalises the queries and keys of each row of x (see AttnShape) and
// copies the values: y = x·rstd·gain, rstd = 1/sqrt(mean(x²) + Eps) over each head.
// y may be x. rstd is [B·T, Stats], kept for the backward pass: of each query head
// and then each key head, or with AllHeads of the queries and of the keys.
//
// qgain is [QK] for all query heads, [G·QK] for those of each K/V head, or [G·R·QK]
// for each; kgain is [QK] or [G·QK].
// Sources: https://arxiv.org/abs/2302.05442, https://arxiv.org/abs/2501.00656.
func QKNormForward(p *Pool, y, rstd []float32, x Rows, qgain, kgain []float32, s AttnShape, o QKNorm) {
	a := qkNormArgs{p: p, y: y, rstd: rstd, x: x, s: s, o: o}
	a.check()
	a.spread(p, qgain, kgain)
	qkNormLoop.run(p, a.chunks, a)
}

var qkNormLoop = newLoop(func(a *qkNormArgs, worker, chunk int) {
	s, stats := &a.s, a.o.Stats(&a.s)
	w := s.Width()
	lo, hi := span(s.B*s.T, a.chunks, chunk)
	buf := a.p.buffer(worker, w)
	for n := lo; n < hi; n++ {
		y, x := a.y[n*w:][:w], a.x.read(buf, n*w, w)
		for i := range stats {
			col, width, over := a.part(i)
			part := x[col:][:width]
			rstd := rootOf(current.vecOps.dot(part, part), over, a.o.Eps)
			current.vecOps.normalize(y[col:][:width], part, a.gain[col:][:width], 0, rstd)
			a.rstd[n*stats+i] = rstd
		}
		if v := s.vCol(0); &y[0] != &x[0] {
			copy(y[v:], x[v:])
		}
	}
})

// QKNormBackward overwrites dx with the gradient of x; dx may be dy. rstd, the gains,
// s and o are the forward pass's.
func QKNormBackward(p *Pool, dx, dy []float32, x Rows, qgain, kgain, rstd []float32, s AttnShape, o QKNorm) {
	a := qkNormArgs{p: p, y: dx, dy: dy, rstd: rstd, x: x, s: s, o: o}
	a.check()
	needs(s.B*s.T*s.Width(), dy)
	a.spread(p, qgain, kgain)
	qkNormBackLoop.run(p, a.chunks, a)
}

var qkNormBackLoop = newLoop(func(a *qkNormArgs, worker, chunk int) {
	s, stats := &a.s, a.o.Stats(&a.s)
	w := s.Width()
	lo, hi := span(s.B*s.T, a.chunks, chunk)
	buf := a.p.buffer(worker, w)
	for n := lo; n < hi; n++ {
		dx, dy, x := a.y[n*w:][:w], a.dy[n*w:][:w], a.x.read(buf, n*w, w)
		for i := range stats {
			col, width, over := a.part(i)
			rstd, gain := a.rstd[n*stats+i], a.gain[col:][:width]
			d, x := dy[col:][:width], x[col:][:width]
			_, sgh := current.vecOps.normSums(d, x, gain, 0, rstd)
			current.vecOps.normBack(dx[col:][:width], d, x, gain, 0, rstd, 0, sgh/float32(over))
		}
		if v := s.vCol(0); &dx[0] != &dy[0] {
			copy(dx[v:], dy[v:])
		}
	}
})

// QKNormGrad adds the gradients of the gains to dqgain and dkgain, which are as long
// as qgain and kgain, or nil where not wanted. rstd, s and o are the forward pass's.
func QKNormGrad(p *Pool, dqgain, dkgain, dy []float32, x Rows, rstd []float32, s AttnShape, o QKNorm) {
	a := qkNormArgs{p: p, y: dy, dy: dy, rstd: rstd, x: x, s: s, o: o}
	a.check()
	cols := s.G * (s.R + 1) * s.QK
	a.chunks = rowBlocks(s.B * s.T)
	a.gain = p.Scratch(0, a.chunks*cols)
	a.want = [2]bool{dqgain != nil, dkgain != nil}
	qkNormGradLoop.run(p, a.chunks, a)
	for i := range a.chunks {
		sum := a.gain[i*cols:][:cols]
		for h := range s.G * (s.R + 1) {
			if !a.wants(h * s.QK) {
				continue
			}
			to := headGain(dqgain, dkgain, &s, h)
			current.vecOps.add(to, to, sum[h*s.QK:][:s.QK])
		}
	}
}

// Each chunk sums a block of rows on its own.
var qkNormGradLoop = newLoop(func(a *qkNormArgs, worker, chunk int) {
	s, stats := &a.s, a.o.Stats(&a.s)
	w, cols := s.Width(), s.G*(s.R+1)*s.QK
	lo, hi := span(s.B*s.T, a.chunks, chunk)
	sum := a.gain[chunk*cols:][:cols]
	clear(sum)
	buf := a.p.buffer(worker, w)
	for n := lo; n < hi; n++ {
		x := a.x.read(buf, n*w, w)
		for i := range stats {
			col, width, _ := a.part(i)
			if !a.wants(col) {
				continue
			}
			current.vecOps.normGrad(sum[col:][:width], a.dy[n*w+col:][:width], x[col:][:width], 0, a.rstd[n*stats+i])
		}
	}
})

// wants reports whether the gradient of a column's gain is wanted.
func (a *qkNormArgs) wants(col int) bool {
	if col < a.s.kCol(0) {
		return a.want[0]
	}
	return a.want[1]
}

func (a *qkNormArgs) check() {
	s := &a.s
	s.check()
	if a.o.Over < 0 || a.o.AllHeads && a.o.Over%s.R != 0 {
		panic(badShape)
	}
	need(a.y, s.B*s.T*s.Width())
	a.x.need(s.B * s.T * s.Width())
	need(a.rstd, s.B*s.T*a.o.Stats(s))
}

// spread lays the gains out in worker 0's scratch, one for each column of q and k.
func (a *qkNormArgs) spread(p *Pool, qgain, kgain []float32) {
	s := &a.s
	a.chunks = p.pieces(s.B*s.T, elementGrain/s.Width())
	a.gain = p.Scratch(0, s.G*(s.R+1)*s.QK)
	one := float32(0)
	if a.o.PlusOne {
		one = 1
	}
	for h := range s.G * (s.R + 1) {
		current.vecOps.affine(a.gain[h*s.QK:][:s.QK], headGain(qgain, kgain, s, h), 1, one)
	}
}

// headGain is the gains of query head h, or of key head h - G·R.
func headGain(qgain, kgain []float32, s *AttnShape, h int) []float32 {
	gain, each, shared := qgain, s.G*s.R, h/s.R
	if h >= s.G*s.R {
		h -= s.G * s.R
		gain, each, shared = kgain, s.G, h
	}
	switch len(gain) {
	case s.QK:
		return gain
	case each * s.QK:
		return gain[h*s.QK:][:s.QK]
	case s.G * s.QK:
		return gain[shared*s.QK:][:s.QK]
	}
	panic(badLength)
}

package kernel

import "math"

// HeadOptions are HeadLoss's settings; the zero value would scale all gradients
// by zero, so Scale has no default.
type HeadOptions struct {
	Scale     float32 // multiplies the gradients: 1/targets for a mean
	Smoothing float32 // share of the target spread evenly over the vocabulary; 0 is none
	BF16      bool    // the products' inputs are rounded to bfloat16
	Fresh     bool    // dw is overwritten instead of added to
	Logits    Logits  // what becomes of the logits before the softmax
	// Rows, where it is not nil, are factors of the rows' gradients [N], beside Scale.
	Rows []float32
	// Stored, where it holds values, is the head w as it is stored, instead of w, which
	// is nil: of 16 or 8 bits. Its gradient is float32.
	Stored Weights
	// Scratch is HeadScratch(N, V) values to work in, LossScratch(N, V) where no gradient
	// is wanted, DistillScratch(N, V) with a teacher; nil takes the pool's, which keeps them.
	Scratch []float32
}

// HeadInput is what HeadLoss reads: the last hidden states X [N, E], the head W [V, E], nil
// where HeadOptions.Stored has it, its Bias [V] or nil, and the Targets [N].
type HeadInput struct {
	X, W, Bias []float32
	Targets    []int32
	N, E, V    int
}

// HeadOutput is what HeadLoss writes: the losses NLL [N] in nats, with a teacher KL [N], and
// the gradients DX [N, E], which is overwritten, and DW [V, E] (but see HeadOptions.Fresh) and
// DBias [V], which are added to. A gradient that is nil is not wanted.
type HeadOutput struct {
	NLL, KL       []float32
	DX, DW, DBias []float32
}

// wanted reports whether any gradient is.
func (o *HeadOutput) wanted() bool { return o.DX != nil || o.DW != nil || o.DBias != nil }

// Logits says what a model makes of its head's products z: Scale·z, or with a soft
// cap c > 0 c·tanh(Scale·z/c). The zero value leaves them as they are.
type Logits struct {
	Scale   float32 // 0 is 1
	SoftCap float32 // 0 is none
}

func (l Logits) scale() float32 {
	if l.Scale == 0 {
		return 1
	}
	return l.Scale
}

func (l Logits) check() {
	if !(l.SoftCap >= 0) {
		panic(badShape)
	}
}

// apply turns products into logits.
func (l Logits) apply(z []float32) {
	switch {
	case l.SoftCap > 0:
		current.vecOps.softCap(z, z, l.scale()/l.SoftCap, l.SoftCap)
	case l.scale() != 1:
		current.vecOps.affine(z, z, l.Scale, 0)
	}
}

// back turns the gradient dz of logits z into that of the products.
func (l Logits) back(dz, z []float32) {
	if l.SoftCap > 0 {
		current.vecOps.softCapBack(dz, dz, z, 0, 1/l.SoftCap)
	}
	if l.scale() != 1 {
		current.vecOps.affine(dz, dz, l.Scale, 0)
	}
}

// logitRows is the number of rows whose logits exist at one time.
const logitRows = 256

// HeadScratch is how many values HeadLoss works in: the logits of some rows.
func HeadScratch(N, V int) int {
	rows := min(N, logitRows)
	return (rows + rowBlocks(rows)) * V
}

// DistillScratch is how many values DistillLoss works in.
func DistillScratch(N, V int) int { return HeadScratch(N, V) + (min(N, logitRows)+2)*V }

// head is a call of HeadLoss or DistillLoss.
type head struct {
	HeadInput
	HeadOutput
	o           HeadOptions
	teacher     Teacher // its X is nil in HeadLoss
	pool        *Pool
	z, u, scrap []float32 // logits of the rows at hand, the teacher's; worker 0's scratch
	grad        bool
}

var headLoop = newLoop(func(h *head, worker, row int) {
	z, target := h.z[row*h.V:][:h.V], int(h.Targets[row])
	if h.teacher.X == nil {
		h.o.Logits.apply(z)
		o := h.o
		if o.Rows != nil {
			o.Scale *= o.Rows[row]
		}
		h.NLL[row] = crossEntropyRow(z, target, &o, h.grad, &h.pool.lanes[worker].logits)
		return
	}
	scrap := h.scrap
	if worker > 0 {
		scrap = h.pool.Scratch(worker, 2*h.V)
	}
	h.NLL[row], h.KL[row] = distillRow(z, h.u[row*h.V:][:h.V], scrap[:h.V], scrap[h.V:2*h.V], target, &h.o, &h.teacher, h.grad)
})

const logitBlock = 2048 // partial sums in float32, their sum in float64

// crossEntropyRow returns a row's loss in nats. The logits z become Scale times the
// gradient of the products that they were made of if grad, else they are lost.
func crossEntropyRow(z []float32, target int, o *HeadOptions, grad bool, hold *[logitBlock]float32) float32 {
	if target < 0 {
		if grad {
			clear(z)
		}
		return 0
	}
	v, capped := current.vecOps, grad && o.Logits.SoftCap > 0
	top, zt, eps := v.maximum(z), float64(z[target]), float64(o.Smoothing)
	var sum, total float64
	for lo := 0; lo < len(z); lo += logitBlock {
		part := z[lo:min(lo+logitBlock, len(z))]
		if eps > 0 {
			total += float64(v.sum(part))
		}
		to := part
		if capped { // the gradient needs the logits once more
			to = hold[:len(part)]
		}
		sum += float64(v.expSum(to, part, top))
	}
	loss := float64(top) + math.Log(sum) - (1-eps)*zt - eps*total/float64(len(z))
	if !grad {
		return float32(loss)
	}
	k := float32(float64(o.Scale) / sum)
	even, hit := o.Scale*o.Smoothing/float32(len(z)), o.Scale*(1-o.Smoothing)
	if !capped {
		m := o.Logits.scale()
		v.affine(z, z, k*m, -even*m)
		z[target] -= hit * m
		return float32(loss)
	}
	for lo := 0; lo < len(z); lo += logitBlock {
		part := z[lo:min(lo+logitBlock, len(z))]
		d := hold[:len(part)]
		v.expSum(d, part, top)
		v.affine(d, d, k, -even)
		if at := target - lo; at >= 0 && at < len(d) {
			d[at] -= hit
		}
		o.Logits.back(d, part)
		copy(part, d)
	}
	return float32(loss)
}

// HeadLoss is the language-model head, logits = X·Wᵀ + Bias (and see Logits), and its
// cross-entropy, over chunks of rows: the [N, V] logits never exist whole, and
// the gradients are made in the same pass, from the same logits. Without gradients a large
// vocabulary is cut in pieces as well.
//
// NLL[n] = -log softmax(logits[n])[Targets[n]] in nats, or, with Smoothing s,
// (1-s) times that plus s times its mean over the vocabulary; a negative target
// means the row is ignored, with loss and gradient 0.
//
// All gradients are those of Scale·sum(NLL), or with Rows of Scale·sum(Rows·NLL).
// It panics on a target of V or more.
func HeadLoss(p *Pool, in HeadInput, o HeadOptions, out HeadOutput) {
	h := head{HeadInput: in, HeadOutput: out, o: o}
	h.check()
	if !h.wanted() && h.V > headPiece {
		h.inPieces(p)
		return
	}
	h.run(p)
}

func (h *head) check() {
	if h.E <= 0 || h.V <= 0 || h.N < 0 {
		panic(badShape)
	}
	need(h.X, h.N*h.E)
	h.o.Logits.check()
	if h.W != nil {
		h.o.Stored = Weights{F32: h.W}
	}
	h.o.Stored.check(h.V, h.E)
	need(h.Targets, h.N)
	need(h.NLL, h.N)
	if h.o.Rows != nil {
		need(h.o.Rows, h.N)
	}
	if h.Bias != nil {
		need(h.Bias, h.V)
		h.Bias = h.Bias[:h.V]
	}
	if h.DX != nil {
		need(h.DX, h.N*h.E)
	}
	if h.DW != nil {
		need(h.DW, h.V*h.E)
	}
	if h.DBias != nil {
		need(h.DBias, h.V)
	}
	for _, t := range h.Targets[:h.N] {
		if int(t) >= h.V {
			panic(badID)
		}
	}
}

func (h *head) run(p *Pool) {
	h.pool, h.grad = p, h.wanted()
	rows := min(h.N, logitRows)
	size := HeadScratch(h.N, h.V)
	if h.teacher.X != nil {
		size = DistillScratch(h.N, h.V)
	}
	buf := h.o.Scratch
	if buf == nil {
		buf = p.Scratch(0, size)
	}
	need(buf, size)
	logits, buf := cut(buf, rows*h.V)
	sums, buf := cut(buf, rowBlocks(rows)*h.V)
	for lo := 0; lo < h.N; lo += logitRows {
		n := min(logitRows, h.N-lo)
		z, x := Mat(logits, n, h.V), Mat(h.X[lo*h.E:], n, h.E)
		MatMulWeights(p, z, x, h.o.Stored, h.V, h.E, Product{TransB: true, Bias: h.Bias, BF16: h.o.BF16}) // (n, V)
		part := *h
		part.z, part.NLL, part.Targets = logits, h.NLL[lo:], h.Targets[lo:]
		if h.o.Rows != nil {
			part.o.Rows = h.o.Rows[lo:]
		}
		if t := &h.teacher; t.X != nil {
			part.KL = h.KL[lo:]
			part.u, part.scrap = cut(buf, rows*h.V)
			MatMulWeights(p, Mat(part.u, n, h.V), Mat(t.X[lo*t.E:], n, t.E), t.Stored, h.V, t.E, Product{TransB: true, Bias: t.Bias, BF16: h.o.BF16}) // (n, V)
		}
		headLoop.run(p, n, part)
		if h.DX != nil {
			MatMulWeights(p, Mat(h.DX[lo*h.E:], n, h.E), z, h.o.Stored, h.V, h.E, Product{BF16: h.o.BF16}) // (n, E)
		}
		if h.DW != nil {
			MatMul(p, Mat(h.DW, h.V, h.E), z, x, Product{TransA: true, Accumulate: lo > 0 || !h.o.Fresh, BF16: h.o.BF16}) // (V, E)
		}
		if h.DBias != nil {
			sumRows(p, h.DBias, logits, n, h.V, sums)
		}
	}
}

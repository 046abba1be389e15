package kernel

import "math"

// HeadOptions are HeadLoss's settings; the zero value would scale all gradients
// by zero, so Scale has no default.
type HeadOptions struct {
	Scale     float32 // multiplies the gradients: 1/targets for a mean
	Smoothing float32 // share of the target spread evenly over the vocabulary; 0 is none
	BF16      bool    // the products' inputs are rounded to bfloat16
}

// logitRows is the number of rows whose logits exist at one time.
const logitRows = 256

type headArgs struct {
	z, nll  []float32
	targets []int32
	v       int
	o       HeadOptions
	grad    bool
}

var headLoop = newLoop(func(a *headArgs, worker, chunk int) {
	z := a.z[chunk*a.v:][:a.v]
	a.nll[chunk] = crossEntropyRow(z, int(a.targets[chunk]), &a.o, a.grad)
})

// crossEntropyRow returns a row's loss in nats. The logits z become Scale times
// their gradient if grad, else they are lost.
func crossEntropyRow(z []float32, target int, o *HeadOptions, grad bool) float32 {
	if target < 0 {
		if grad {
			clear(z)
		}
		return 0
	}
	const block = 2048 // partial sums in float32, their sum in float64
	v := current.verbs
	top, zt, eps := v.maximum(z), float64(z[target]), float64(o.Smoothing)
	var sum, total float64
	for lo := 0; lo < len(z); lo += block {
		part := z[lo:min(lo+block, len(z))]
		if eps > 0 {
			total += float64(v.sum(part))
		}
		sum += float64(v.expSum(part, part, top))
	}
	loss := float64(top) + math.Log(sum) - (1-eps)*zt - eps*total/float64(len(z))
	if grad {
		k := float32(float64(o.Scale) / sum)
		even := o.Scale * o.Smoothing / float32(len(z))
		v.affine(z, z, k, -even)
		z[target] -= o.Scale * (1 - o.Smoothing)
	}
	return float32(loss)
}

// HeadLoss is the language-model head, logits = x·wᵀ + bias, and its
// cross-entropy, over chunks of rows: the [N, V] logits never exist whole, and
// the gradients are made in the same pass, from the same logits.
//
// nll[n] = -log softmax(logits[n])[targets[n]] in nats, or, with Smoothing s,
// (1-s) times that plus s times its mean over the vocabulary; a negative target
// means the row is ignored, with loss and gradient 0.
//
// x is [N, E], w [V, E], bias [V] or nil, targets and nll [N]. dx [N, E] is
// overwritten; dw [V, E] and dbias [V] are added to; each may be nil, which means
// not wanted. All gradients are those of Scale·sum(nll).
// It panics on a target of V or more.
func HeadLoss(p *Pool, x, w, bias []float32, targets []int32, N, E, V int, o HeadOptions, nll, dx, dw, dbias []float32) {
	if E <= 0 || V <= 0 {
		panic(badShape)
	}
	need(x, N*E)
	need(w, V*E)
	need(targets, N)
	need(nll, N)
	if bias != nil {
		need(bias, V)
		bias = bias[:V]
	}
	if dx != nil {
		need(dx, N*E)
	}
	if dw != nil {
		need(dw, V*E)
	}
	if dbias != nil {
		need(dbias, V)
	}
	for _, t := range targets[:N] {
		if int(t) >= V {
			panic(badID)
		}
	}
	grad := dx != nil || dw != nil || dbias != nil
	rows := min(N, logitRows)
	buf := p.Scratch(0, (rows+rowBlocks(rows))*V) // the chunks below use no scratch
	for lo := 0; lo < N; lo += logitRows {
		n := min(logitRows, N-lo)
		z, xs := Mat(buf[:n*V], n, V), Mat(x[lo*E:][:n*E], n, E)
		MatMul(p, z, xs, Mat(w, V, E), Product{TransB: true, Bias: bias, BF16: o.BF16}) // (n, V)
		headLoop.run(p, n, headArgs{z.Data, nll[lo:], targets[lo:], V, o, grad})
		if dx != nil {
			MatMul(p, Mat(dx[lo*E:][:n*E], n, E), z, Mat(w, V, E), Product{BF16: o.BF16}) // (n, E)
		}
		if dw != nil {
			MatMul(p, Mat(dw, V, E), z, xs, Product{TransA: true, Accumulate: true, BF16: o.BF16}) // (V, E)
		}
		if dbias != nil {
			sumRows(p, dbias, z.Data, n, V, buf[rows*V:])
		}
	}
}

package kernel

import "math"

// A loss without gradients needs no row of logits whole: HeadLoss makes headPiece of them
// for some rows, adds them to the rows' sums and makes the next ones in the same memory. A
// piece of the head is then read once for pieceRows rows.
const (
	headPiece   = 8192
	pieceRows   = 1024
	pieceStride = headPiece + 16 // rows a power of two apart would share sets of a cache
)

// lossRows is the number of rows whose logits exist at one time, by pieces; they take no
// more memory than whole rows of logits for gradients.
func lossRows(N, V int) int { return max(1, min(N, pieceRows, logitRows*V/headPiece)) }

// LossScratch is how many values HeadLoss works in where no gradient is wanted.
func LossScratch(N, V int) int {
	if V <= headPiece {
		return HeadScratch(N, V)
	}
	return lossRows(N, V) * pieceStride
}

// rowLoss sums up a row of logits that come in pieces.
type rowLoss struct {
	top    float32 // the largest so far
	sum    float64 // of exp(logit - top)
	total  float64 // of the logits, for smoothing
	target float64 // its logit
}

// add takes the logits z of the ids from at on; z is overwritten.
func (r *rowLoss) add(z []float32, at, target int, smooth bool) {
	v := current.vecOps
	if i := target - at; i >= 0 && i < len(z) {
		r.target = float64(z[i])
	}
	if top := v.maximum(z); top > r.top {
		r.sum *= math.Exp(float64(r.top) - float64(top)) // 0 times 0 before the first
		r.top = top
	}
	for lo := 0; lo < len(z); lo += logitBlock {
		part := z[lo:min(lo+logitBlock, len(z))]
		if smooth {
			r.total += float64(v.sum(part))
		}
		r.sum += float64(v.expSum(part, part, r.top))
	}
}

// loss is the row's, in nats, of V logits with smoothing eps.
func (r *rowLoss) loss(V int, eps float64) float32 {
	return float32(float64(r.top) + math.Log(r.sum) - (1-eps)*r.target - eps*r.total/float64(V))
}

// piece is what its loop reads: logits of rows x cols ids from at on, rows pieceStride apart.
type piece struct {
	z        []float32
	cols, at int
	rows     []rowLoss
	targets  []int32
	logits   Logits
	smooth   bool
}

var pieceLoop = newLoop(func(c *piece, _, row int) {
	if target := int(c.targets[row]); target >= 0 {
		z := c.z[row*pieceStride:][:c.cols]
		c.logits.apply(z)
		c.rows[row].add(z, c.at, target, c.smooth)
	}
})

// inPieces is run without gradients.
func (h *head) inPieces(p *Pool) {
	most, l := lossRows(h.N, h.V), &p.lanes[0]
	buf := h.o.Scratch
	if buf == nil {
		buf = p.Scratch(0, most*pieceStride)
	}
	need(buf, most*pieceStride)
	if len(l.losses) < most {
		l.losses = make([]rowLoss, most)
	}
	for lo := 0; lo < h.N; lo += most {
		n := min(most, h.N-lo)
		rows, targets, x := l.losses[:n], h.Targets[lo:][:n], Mat(h.X[lo*h.E:], n, h.E)
		for i := range rows {
			rows[i] = rowLoss{top: float32(math.Inf(-1))}
		}
		for at := 0; at < h.V; at += headPiece {
			v := min(headPiece, h.V-at)
			o := Product{TransB: true, BF16: h.o.BF16}
			if h.Bias != nil {
				o.Bias = h.Bias[at:][:v]
			}
			MatMulWeights(p, Matrix{Data: buf, Rows: n, Cols: v, Stride: pieceStride}, x, h.o.Stored.from(at, h.E), v, h.E, o) // (n, v)
			pieceLoop.run(p, n, piece{buf, v, at, rows, targets, h.o.Logits, h.o.Smoothing > 0})
		}
		for i := range rows {
			h.NLL[lo+i] = 0
			if targets[i] >= 0 {
				h.NLL[lo+i] = rows[i].loss(h.V, float64(h.o.Smoothing))
			}
		}
	}
}

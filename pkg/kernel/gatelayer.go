package kernel

type gateLayerArgs struct {
	r, x, y, dy []float32
	n           int // elements of a sequence
}

var gateLayerLoop = newLoop(func(a *gateLayerArgs, _, b int) {
	at := b * a.n
	x, y, dy := a.x[at:at+a.n], a.y[at:at+a.n], a.dy[at:at+a.n]
	sum := 0.0
	for i, d := range dy {
		sum += float64(y[i]-x[i]) * float64(d)
	}
	a.r[b] = float32(sum)
})

// GateLayer is the gradient, at 1, of a gate z on a whole layer that makes y of x, as
// x + z·(y - x) is: for each of B sequences of n elements
//
//	r[b] = sum over i of (y[b,i] - x[b,i])·dy[b,i]
//
// r [B] is overwritten.
func GateLayer(p *Pool, r, x, y, dy []float32, B, n int) {
	need(r, B)
	needs(B*n, x, y, dy)
	gateLayerLoop.run(p, B, gateLayerArgs{r, x, y, dy, n})
}

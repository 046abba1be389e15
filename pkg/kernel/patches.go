package kernel

type patchArgs struct {
	y, images  []float32
	c, h, w, p int
}

// Each chunk is one row of patches of one image.
var patchLoop = newLoop(func(a *patchArgs, worker, chunk int) {
	down, across, size := a.h/a.p, a.w/a.p, a.c*a.p*a.p
	image := a.images[chunk/down*a.c*a.h*a.w:]
	y := a.y[chunk*across*size:]
	for c := range a.c {
		for i := range a.p {
			src := image[(c*a.h+chunk%down*a.p+i)*a.w:]
			dst := y[(c*a.p+i)*a.p:]
			for x := range across {
				copy(dst[x*size:][:a.p], src[x*a.p:])
			}
		}
	}
})

// Patches cuts images in squares of P x P pixels, so that a patch embedding is a
// matrix product: y is [B·(H/P)·(W/P), C·P·P], patches in reading order, the
// values of each by channel, row and column, as a convolution's weights
// [E, C, P, P] lie. images is [B, C, H, W]; P must divide H and W. Pixels have no
// gradient.
func Patches(p *Pool, y, images []float32, B, C, H, W, P int) {
	if P <= 0 || C <= 0 || H%P != 0 || W%P != 0 {
		panic(badShape)
	}
	needs(B*C*H*W, y, images)
	patchLoop.run(p, B*(H/P), patchArgs{y, images, C, H, W, P})
}

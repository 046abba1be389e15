package kernel

import "slices"

// Argmax is the index of the largest value of x, the first of equal ones; 0 where x is
// empty or has no number above minus infinity. Blocks with a NaN are left out.
func Argmax(x []float32) int {
	best, at := float32(0), -1
	for lo := 0; lo < len(x); lo += logitBlock {
		if top := current.vecOps.maximum(x[lo:min(lo+logitBlock, len(x))]); at < 0 && top == top || top > best {
			best, at = top, lo
		}
	}
	if at < 0 {
		return 0
	}
	return at + max(0, slices.Index(x[at:], best))
}

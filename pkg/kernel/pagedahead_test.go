package kernel

import (
	"testing"
	"unsafe"
)

// What is fetched of the page that comes next is its keys and values, all of them and nothing else, whatever
// their number; and fetching at the end of memory does no harm.
func TestPageAhead(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		path := *current
		if path.fetch == nil {
			t.Skip("nothing is fetched on this path")
		}
		x, _ := fence(t, 20)
		path.fetch(&x[19], 7)
		old := current
		defer func() { current = old }()
		current = &path
		var at map[uintptr]bool
		path.fetch = func(x *float32, lines int) {
			for i := range 16 * lines {
				at[uintptr(unsafe.Pointer(x))+uintptr(4*i)] = true
			}
		}
		s := AttnShape{B: 1, T: 1, G: 3, R: 1, QK: 5, VO: 9, Causal: true}
		a := pagedArgs{p: NewPool(1), s: s, page: 16, k: make([]float32, 4*3*16*5), v: make([]float32, 4*3*16*9)}
		sp := &Span{N: 1, Pages: []int32{2, 0, 3}}
		for end := 17; end <= 48; end++ {
			at = map[uintptr]bool{}
			next := a.later(sp, 1, 0, (end-1)/16*16, end)
			for range pageParts {
				next.fetch(1)
			}
			n, first := (end-1)%16+1, (int(sp.Pages[(end-1)/16])*3+1)*16
			for name, x := range map[string][]float32{"keys": a.k[first*5:][:n*5], "values": a.v[first*9:][:n*9]} {
				for i := range x {
					if !at[uintptr(unsafe.Pointer(&x[i]))] {
						t.Fatalf("%d %s: value %d is not fetched", n, name, i)
					}
				}
			}
		}
		if next := a.later(sp, 1, 16, 48, 48); &next.k[0] != &a.k[(0*3+2)*16*5] {
			t.Error("after the last page the next head's first one is not fetched")
		}
		if next := a.later(sp, 2, 16, 48, 48); next.k != nil {
			t.Error("there is no head after the last one, and something is fetched")
		}
	})
}

package graph

import (
	"math/rand/v2"
	"testing"
)

// TestLentGradients: values that live in the memory of gradients give the same bits
// as values with an arena of their own, in a second run too, whatever the slab held; what
// nothing needs any longer is not read, and padding stays zero.
func TestLentGradients(t *testing.T) {
	m := newToy(t, "lglg")
	for _, r := range []Recompute{KeepAll, RecomputeLight, RecomputeLayer} {
		for _, poisoned := range []bool{false, true} {
			_, want := m.run(t, 1, LowerOptions{Taps: true, Recompute: r})
			a, _ := m.run(t, 1, LowerOptions{Taps: true, Recompute: r})
			grads := m.set.NewSlab()
			b := lowered(t, m.build(true), LowerOptions{Grads: grads, Taps: true, Recompute: r, InGradients: true, poison: poisoned})
			if b.Plan().ArenaBytes() >= a.Plan().ArenaBytes() || b.Plan().InGradientBytes() == 0 {
				t.Errorf("recompute %d: the arena takes %d bytes, without lending %d", r, b.Plan().ArenaBytes(), a.Plan().ArenaBytes())
			}
			m.feed(t, b)
			for range 2 {
				ok(t, b.RunFresh())
				sameBits(t, a, b, want, grads)
			}
			for _, block := range m.set.Blocks {
				if !b.Overwrites(block.Name) {
					t.Errorf("%s has to be cleared", block.Name)
				}
			}
			if err := b.RunAll(); err == nil {
				t.Error("a run that adds to gradients whose memory holds values was not refused")
			}
		}
	}
}

// TestFinishedLent: each stretch is told of once, and holds its gradient when it is.
func TestFinishedLent(t *testing.T) {
	m := newToy(t, "lglg")
	_, want := m.run(t, 1, LowerOptions{})
	grads := m.set.NewSlab()
	told := make([]int, len(grads.Data))
	mc := lowered(t, m.build(true), LowerOptions{Grads: grads, InGradients: true, Finished: func(lo, hi int) {
		for i := lo; i < hi; i++ {
			if told[i]++; grads.Data[i] != want.Data[i] {
				t.Fatalf("gradient %d is %g when it is said to be complete, in the end %g", i, grads.Data[i], want.Data[i])
			}
		}
	}})
	m.feed(t, mc)
	ok(t, mc.RunFresh())
	for _, b := range m.set.Blocks {
		for i := range b.In(grads) {
			if n := told[b.Offset+i]; n != 1 {
				t.Fatalf("%s: gradient %d was said to be complete %d times", b.Name, i, n)
			}
		}
	}
}

// TestWallsAreKept: no buffer is placed in a block that is taken, or across the wall.
func TestWallsAreKept(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		var in gradSpace
		for range 1 + rng.IntN(8) {
			n := int64(4 * (1 + rng.IntN(4000)))
			in.walls = append(in.walls, &Buffer{Offset: in.bytes, Bytes: n, First: rng.IntN(30), Last: 50})
			in.bytes = aligned(in.bytes + n)
		}
		in.walls = append(in.walls, &Buffer{Offset: in.bytes, Bytes: alignBytes, Last: 50})
		in.bytes += alignBytes
		var bufs []*Buffer
		for range 1 + rng.IntN(40) {
			first := rng.IntN(30)
			bufs = append(bufs, &Buffer{Bytes: int64(4 * rng.IntN(3000)), First: first, Last: first + rng.IntN(10)})
		}
		size := place(bufs, in)
		for i, a := range bufs {
			if a.Offset%alignBytes != 0 || a.Offset < 0 || a.Offset+a.Bytes > in.bytes+size {
				t.Fatalf("buffer at %d of %d bytes in a space of %d and an arena of %d", a.Offset, a.Bytes, in.bytes, size)
			}
			for _, b := range append(in.walls, bufs[:i]...) {
				if a.First <= b.Last && b.First <= a.Last && a.Offset < b.Offset+b.Bytes && b.Offset < a.Offset+a.Bytes {
					t.Fatalf("%+v overlaps %+v", *a, *b)
				}
			}
		}
	}
}

// TestInGradientsEndsWithTheSlab: no value reaches beyond the gradients, whatever their number.
func TestInGradientsEndsWithTheSlab(t *testing.T) {
	odd := 0
	for v := 5; v < 60; v++ {
		m := (&toy{style: "lll", b: 4, t: 16, v: v, g: 4, r: 1, qk: 6, vo: 6, f: 20, e: 20 + v%5}).init(t)
		if m.set.Len()%16 != 0 {
			odd++
		}
		grads := m.set.NewSlab()
		mc := lowered(t, m.build(true), LowerOptions{Grads: grads, Taps: true, InGradients: true})
		m.feed(t, mc)
		ok(t, mc.RunFresh())
	}
	if odd == 0 {
		t.Error("every slab ends at a multiple of a cache line")
	}
}

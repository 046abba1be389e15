package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rotary writes RoPE on adjacent pairs: half as many angles as columns.
func rotary(k *kit) {
	for _, inverse := range []bool{false, true} {
		name, doc := "rotate", "is y = x rotated, pair (2j, 2j+1) by the angle of cos[j] and sin[j]."
		if inverse {
			name, doc = "rotateBack", "is rotate by the opposite angles."
		}
		k.function(name, "(y, x, cos, sin []float32)", doc)
		y, x, n := pointer("y"), pointer("x"), length("y")
		cos, sin := pointer("cos"), pointer("sin")
		pairs := k.pairs()
		idx := k.vec()
		loadInts(k, pairs, idx)
		k.loop("", n, 1, func(p *at) {
			v := p.load(x)
			c, s := k.angles(p, cos, idx), k.angles(p, sin, idx)
			w := k.vec()
			VPERMILPS(Imm(0xb1), v, w) // the pair swapped
			t := k.mul(w, s)
			if inverse {
				VFMSUBADD213PS(t, c, v) // even: x0·cos + x1·sin, odd: x1·cos - x0·sin
			} else {
				VFMADDSUB213PS(t, c, v) // even: x0·cos - x1·sin, odd: x1·cos + x0·sin
			}
			p.store(v, y)
		})
		k.done()
	}
}

// loadInts loads a whole vector of integers.
func loadInts(k *kit, m Mem, v VecVirtual) {
	if k.wide {
		VMOVDQU32(m, v)
	} else {
		VMOVDQU(m, v)
	}
}

// pairs is the vector 0, 0, 1, 1, 2, 2 ...
func (k *kit) pairs() Mem {
	m := GLOBL("pairs"+k.name, RODATA|NOPTR)
	for i := range k.lanes {
		DATA(4*i, U32(uint32(i/2)))
	}
	return m
}

// angles loads lanes/2 values from base at half the loop's index, each twice.
// In the tail it loads only what there is.
func (k *kit) angles(p *at, base Register, idx VecVirtual) VecVirtual {
	i := GP64()
	MOVQ(p.index, i)
	SHRQ(Imm(1), i)
	m := Mem{Base: base, Index: i, Scale: 4}
	v := k.vec()
	switch {
	case !p.tail && k.wide:
		VMOVUPS(m, v.AsY())
	case !p.tail:
		VMOVUPS(m, v.AsX())
	case k.wide:
		VMOVUPS_Z(m, k.halfMask(), v.AsY())
	default:
		VMASKMOVPS(m, k.halfMask(), v.AsX())
	}
	VPERMPS(v, idx, v)
	return v
}

// halfMask keeps every other lane's bit of the tail's mask: the mask of the pairs.
func (k *kit) halfMask() Register {
	if k.wide {
		g, even := GP32(), GP32()
		KMOVW(k.mask, g)
		MOVL(U32(0x5555), even)
		PEXTL(even, g, g)
		m := K()
		KMOVW(g, m)
		return m
	}
	// lanes 0, 2, 4, 6 of the mask
	v := YMM()
	VPSHUFD(Imm(0x88), k.mask, v)
	VPERMQ(Imm(0x08), v, v)
	return v.AsX()
}

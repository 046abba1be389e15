package data

import "math/bits"

// permutation is an order of n numbers that a seed decides and that takes no memory: a
// Feistel network of four rounds over the smallest even number of bits that hold n, applied
// again while its result is n or more (cycle walking; Black and Rogaway, "Ciphers with
// Arbitrary Finite Domains", 2002).
type permutation struct {
	n    uint64
	half uint // bits of a half
	keys [4]uint64
}

func newPermutation(n int, seed, pass uint64) permutation {
	p := permutation{n: uint64(n), half: uint(max(2, bits.Len64(uint64(max(1, n)-1))+1) / 2)}
	for i := range p.keys {
		p.keys[i] = mix(seed ^ mix(pass+uint64(i)<<56+1))
	}
	return p
}

// at is the number at place i of the order, below n.
func (p permutation) at(i int) int {
	x, mask := uint64(i), uint64(1)<<p.half-1
	for {
		l, r := x>>p.half, x&mask
		for _, k := range p.keys {
			l, r = r, l^mix(r^k)&mask
		}
		if x = l<<p.half | r; x < p.n {
			return int(x)
		}
	}
}

// mix is splitmix64's finisher (https://prng.di.unimi.it/splitmix64.c).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

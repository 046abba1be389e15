package dist

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// Exercise makes every call of a group once and checks what comes of it: the
// conformance test of implementations, and a check of a cluster before a run.
// bounds are the parts of Scatter and Gather.
func Exercise(g Group, bounds []int) error {
	n, size, rank := bounds[len(bounds)-1], g.Size(), g.Rank()
	value := func(r, i int) float32 { return float32(r+1)*float32(i%13) + float32(i%7)/8 } // sums exact in float32
	want := make([]float32, n)
	for i := range want {
		for r := range size {
			want[i] += value(r, i)
		}
	}
	fresh := func() []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = value(rank, i)
		}
		return x
	}
	compare := func(what string, x, y []float32, relative float64) error {
		for i := range x {
			if math.Abs(float64(x[i]-y[i])) > relative*math.Abs(float64(y[i])) {
				return fmt.Errorf("dist: %s on rank %d of %d: element %d is %g, expected %g", what, rank, size, i, x[i], y[i])
			}
		}
		return nil
	}
	x := fresh()
	if err := g.Sum(x); err != nil {
		return err
	}
	if err := compare("the sum", x, want, 0); err != nil {
		return err
	}
	x = fresh()
	if err := g.SumBF16(x); err != nil {
		return err
	}
	// Each of at most size roundings on the way loses at most half a unit of 8 bits.
	if err := compare("the sum in bfloat16", x, want, float64(size)/256); err != nil {
		return err
	}
	if err := sameEverywhere(g, x); err != nil {
		return err
	}
	x = fresh()
	if err := g.Scatter(x, bounds); err != nil {
		return err
	}
	lo, hi := bounds[rank], bounds[rank+1]
	if err := compare("the scattered sum", x[lo:hi], want[lo:hi], 0); err != nil {
		return err
	}
	if err := g.Gather(x, bounds); err != nil {
		return err
	}
	if err := compare("what was gathered", x, want, 0); err != nil {
		return err
	}
	return exerciseRest(g)
}

// sameEverywhere compares the bits of x with rank 0's.
func sameEverywhere(g Group, x []float32) error {
	raw := make([]byte, 4*len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	mine := bytes.Clone(raw)
	if err := g.Broadcast(raw); err != nil {
		return err
	}
	if !bytes.Equal(raw, mine) {
		return fmt.Errorf("dist: the sum in bfloat16 differs between rank 0 and rank %d", g.Rank())
	}
	return nil
}

// exerciseRest makes the calls that are not about slabs of float32.
func exerciseRest(g Group) error {
	size, rank := g.Size(), g.Rank()
	y := []float64{float64(rank), 1}
	if err := g.SumFloat64(y); err != nil {
		return err
	}
	if y[0] != float64(size*(size-1)/2) || y[1] != float64(size) {
		return fmt.Errorf("dist: the sum of ranks is %g of %g", y[0], y[1])
	}
	text := []byte("only rank 0 knows this")
	var b []byte
	if rank == 0 {
		b = text
	}
	b, err := Message(g, b)
	if err != nil {
		return err
	}
	if !bytes.Equal(b, text) {
		return fmt.Errorf("dist: rank %d received %q", rank, b)
	}
	return Agree(g, "nothing", [32]byte{})
}

package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// op is what the conformance suite needs to know of an operation. Its test is
// one line, conform(t, op{...}).
//
// The suite runs the operation under every CPU path, with one thread and with
// three, in buffers that end at an unreadable page. It compares the outputs with
// the reference, and the gradients with central finite differences of the
// reference: both are float64, so that differences are sharp. Two runs, and any
// number of threads, must give the same bits; inputs must stay as they were; and
// nothing may be allocated.
type op struct {
	name string
	in   []int // elements of each input
	out  []int // elements of each output
	tol  float64
	fill func(r *rand.Rand, in [][]float32) // inputs; nil means standard normal

	forward   func(p *Pool, out, in [][]float32)
	reference func(in [][]float64) (out [][]float64)

	// The loss is sum(dout·out[0]). backward leaves dLoss/din[i] in din[i], for
	// the inputs that diff names; in those that adds names it adds to what is
	// there. Nil where there is no gradient.
	backward func(p *Pool, din, in, out [][]float32, dout []float32)
	diff     []int
	adds     []int
	// gradient, where there is one, is a slow reference for all of din: every element
	// of the gradients is compared with it, and it with finite differences.
	gradient func(in [][]float64, dout []float64) (din [][]float64)
	dout     float32 // every element of dout; 0 means standard normal
	gradTol  float64 // 0 means tol
}

var nan32 = float32(math.NaN())

// fenced takes the last n of all as the values and fills the rest with NaNs.
func fenced(all []float32, n int) (s []float32, intact func() bool) {
	front := all[:len(all)-n]
	for i := range front {
		front[i] = nan32
	}
	return all[len(all)-n:], func() bool {
		return !slices.ContainsFunc(front, func(v float32) bool { return v == v })
	}
}

// buffers is a group of fenced slices.
type buffers struct {
	s      [][]float32
	intact []func() bool
}

func newBuffers(t testing.TB, sizes []int) *buffers {
	b := &buffers{}
	for _, n := range sizes {
		s, ok := fence(t, n)
		b.s, b.intact = append(b.s, s), append(b.intact, ok)
	}
	return b
}

func (b *buffers) check(t *testing.T, what string) {
	t.Helper()
	for i, ok := range b.intact {
		if !ok() {
			t.Fatalf("wrote before %s %d", what, i)
		}
	}
}

func (b *buffers) set(v float32) {
	for _, s := range b.s {
		for i := range s {
			s[i] = v
		}
	}
}

func clones(s [][]float32) [][]float32 {
	c := make([][]float32, len(s))
	for i := range s {
		c[i] = slices.Clone(s[i])
	}
	return c
}

func doubles(s [][]float32) [][]float64 {
	d := make([][]float64, len(s))
	for i := range s {
		d[i] = make([]float64, len(s[i]))
		for j, v := range s[i] {
			d[i][j] = float64(v)
		}
	}
	return d
}

func rms(x []float64) float64 {
	var s float64
	for _, v := range x {
		s += v * v
	}
	return math.Sqrt(s / float64(max(1, len(x))))
}

// spoil fills every worker's scratch with NaNs, as the last user might have.
func spoil(p *Pool) {
	for w := range p.Threads() {
		s := p.Scratch(w, 1<<15)
		for i := range s {
			s[i] = nan32
		}
	}
}

// standing is what an accumulated gradient starts from.
const standing = 0.5

func conform(t *testing.T, o op) {
	t.Helper()
	t.Run(o.name, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, uint64(len(o.name))))
		in := newBuffers(t, o.in)
		for _, s := range in.s {
			for i := range s {
				s[i] = float32(r.NormFloat64())
			}
		}
		if o.fill != nil {
			o.fill(r, in.s)
		}
		dout := newBuffers(t, o.out[:1])
		for i := range dout.s[0] {
			if dout.s[0][i] = o.dout; o.dout == 0 {
				dout.s[0][i] = float32(r.NormFloat64())
			}
		}
		want := o.reference(doubles(in.s))
		slopes := o.slopes(r, in.s, dout.s[0])
		if o.gradient != nil {
			slopes = o.everySlope(t, slopes, in.s, dout.s[0])
		}
		kept := clones(in.s)
		eachPath(t, func(t *testing.T) {
			var bits [][]float32
			for _, threads := range []int{1, 3} {
				p := NewPool(threads)
				defer p.Close()
				got := o.check(t, p, in, dout.s[0], want, slopes)
				if bits == nil {
					bits = got
				}
				again := got
				if current != portablePath { // which is slow, and has no way to differ from itself
					again = o.check(t, p, in, dout.s[0], want, slopes)
				}
				for i := range bits {
					if !slices.Equal(bits[i], got[i]) || !slices.Equal(got[i], again[i]) {
						t.Fatalf("%d threads: result %d has other bits than before", threads, i)
					}
				}
			}
		})
		for i := range kept {
			if !slices.Equal(kept[i], in.s[i]) {
				t.Fatalf("input %d was changed", i)
			}
		}
	})
}

// check runs the operation once and compares; it returns outputs and gradients.
func (o *op) check(t *testing.T, p *Pool, in *buffers, dout []float32, want [][]float64, slopes []slope) [][]float32 {
	t.Helper()
	out := newBuffers(t, o.out)
	out.set(nan32)
	spoil(p)
	o.forward(p, out.s, in.s)
	out.check(t, "output")
	for i, w := range want {
		floor := max(rms(w), 1e-9)
		for j, v := range w {
			if got := float64(out.s[i][j]); !(math.Abs(got-v) <= o.tol*max(math.Abs(v), floor)) {
				t.Fatalf("output %d[%d] = %g, want %g within %g", i, j, got, v, o.tol*max(math.Abs(v), floor))
			}
		}
	}
	din := newBuffers(t, o.in)
	if o.backward != nil {
		start := func() {
			din.set(nan32)
			for _, i := range o.adds {
				for j := range din.s[i] {
					din.s[i][j] = standing
				}
			}
		}
		start()
		spoil(p)
		o.backward(p, din.s, in.s, out.s, dout)
		din.check(t, "gradient")
		o.checkSlopes(t, din.s, slopes)
		if n := allocations(3, func() { o.backward(p, din.s, in.s, out.s, dout) }); n > 0 && !raceDetector {
			t.Fatalf("backward: %v allocations, want 0", n)
		}
		if current != portablePath { // others were measured, and have added up
			start()
			o.backward(p, din.s, in.s, out.s, dout)
		}
	}
	in.check(t, "input")
	if n := allocations(3, func() { o.forward(p, out.s, in.s) }); n > 0 && !raceDetector {
		t.Fatalf("forward: %v allocations, want 0", n)
	}
	var all [][]float32
	for _, s := range append(out.s, pick(din.s, o.diff)...) {
		all = append(all, slices.Clone(s))
	}
	return all
}

func pick(s [][]float32, which []int) (out [][]float32) {
	for _, i := range which {
		out = append(out, s[i])
	}
	return out
}

// slope is dLoss/din[input][at].
type slope struct {
	input, at int
	want      float64
}

// slopes differentiates the reference at some elements of each input.
func (o *op) slopes(r *rand.Rand, in [][]float32, dout []float32) (all []slope) {
	const h = 1e-5
	probes := 30
	if o.gradient != nil {
		probes = 4
	}
	x, y := doubles(in), doubles(in)
	// loss is that of a reference pass with one value changed, which it sends.
	loss := func(x [][]float64, i, at int, by float64, to chan<- float64) {
		v, s := x[i][at], 0.0
		x[i][at] = v + by
		for i, v := range o.reference(x)[0] {
			s += v * float64(dout[i])
		}
		x[i][at] = v
		to <- s
	}
	up, down := make(chan float64, 1), make(chan float64, 1)
	for _, i := range o.diff {
		for _, at := range r.Perm(len(in[i]))[:min(probes, len(in[i]))] {
			go loss(y, i, at, h, up)
			loss(x, i, at, -h, down)
			all = append(all, slope{i, at, (<-up - <-down) / (2 * h)})
		}
	}
	return all
}

// everySlope is the reference gradient, after some of it was compared with finite
// differences.
func (o *op) everySlope(t *testing.T, some []slope, in [][]float32, dout []float32) (all []slope) {
	t.Helper()
	din := o.gradient(doubles(in), doubles([][]float32{dout})[0])
	for _, s := range some {
		if got := din[s.input][s.at]; !(math.Abs(got-s.want) <= 1e-6*max(1, math.Abs(s.want))) {
			t.Fatalf("reference gradient of input %d[%d] = %g, finite differences %g", s.input, s.at, got, s.want)
		}
	}
	for _, i := range o.diff {
		for at, v := range din[i] {
			all = append(all, slope{i, at, v})
		}
	}
	return all
}

func (o *op) checkSlopes(t *testing.T, din [][]float32, slopes []slope) {
	t.Helper()
	tol := o.gradTol
	if tol == 0 {
		tol = o.tol
	}
	for _, i := range o.diff {
		if slices.ContainsFunc(din[i], func(v float32) bool { return v != v }) {
			t.Fatalf("gradient of input %d has NaNs or was not written in full", i)
		}
		var of []float64
		for _, s := range slopes {
			if s.input == i {
				of = append(of, s.want)
			}
		}
		floor := max(rms(of), 1e-3)
		for _, s := range slopes {
			if s.input != i {
				continue
			}
			got, base := float64(din[i][s.at]), 0.0
			if slices.Contains(o.adds, i) {
				base = standing
			}
			if within := tol * max(math.Abs(s.want), floor, base); !(math.Abs(got-base-s.want) <= within) {
				t.Fatalf("gradient of input %d[%d] = %g, finite differences %g within %g", i, s.at, got-base, s.want, within)
			}
		}
	}
}

package coupled

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
	"gonum.org/v1/gonum/mat"
)

// row returns row `at` of a matrix parameter and, appended, its bias (0 without).
func row(s *param.Set, name string, at int) []float64 {
	p := s.Param(name)
	w := p.Dims[len(p.Dims)-1].Size
	var out []float64
	for _, x := range p.Data()[at*w : (at+1)*w] {
		out = append(out, float64(x))
	}
	b := 0.0
	if q := s.Param(name + "_bias"); q != nil && q.Size()*w == p.Size() {
		b = float64(q.Data()[at])
	}
	return append(out, b)
}

// product is A^T B of one query head, biases as one more column.
func product(s *param.Set, z sizes, kind Kind, layer, g, r int) *mat.Dense {
	n := z.embed + 1
	out := mat.NewDense(n, n, nil)
	units, a, b := z.qk, "q", "k"
	if kind == VO {
		units, a, b = z.vo, "o", "v"
	}
	for u := range units {
		x := row(s, fmt.Sprintf("layer.%d.%s", layer, a), (g*z.r+r)*units+u)
		y := row(s, fmt.Sprintf("layer.%d.%s", layer, b), g*units+u)
		out.RankOne(out, 1, mat.NewVecDense(n, x), mat.NewVecDense(n, y))
	}
	return out
}

// project computes q | k | v rows of random inputs, and contexts that mix v rows.
func project(s *param.Set, z sizes, layer int, x [][]float64) (qkv, ctx [][]float64) {
	dot := func(name string, at int, in []float64) float64 {
		w := row(s, fmt.Sprintf("layer.%d.%s", layer, name), at)
		sum := w[len(w)-1]
		for i, v := range in {
			sum += v * w[i]
		}
		return sum
	}
	for t, in := range x {
		var rows, c []float64
		for i := range z.kv * z.r * z.qk {
			rows = append(rows, dot("q", i, in))
		}
		for i := range z.kv * z.qk {
			rows = append(rows, dot("k", i, in))
		}
		for i := range z.kv * z.vo {
			rows = append(rows, dot("v", i, in))
		}
		for g := range z.kv { // query head r attends with weights of its own to this token and the first
			for r := range z.r {
				p := 1 / float64(2+r+t%3)
				for u := range z.vo {
					c = append(c, (1-p)*dot("v", g*z.vo+u, in)+p*dot("v", g*z.vo+u, x[0]))
				}
			}
		}
		qkv, ctx = append(qkv, rows), append(ctx, c)
	}
	return qkv, ctx
}

func inputs(n, width int, seed uint64) [][]float64 {
	rng := rand.New(rand.NewPCG(seed, 9))
	x := make([][]float64, n)
	for i := range x {
		x[i] = make([]float64, width)
		for j := range x[i] {
			x[i][j] = rng.NormFloat64() * float64(1+j%3)
		}
	}
	return x
}

func flat(x [][]float64) []float32 {
	var out []float32
	for _, r := range x {
		for _, v := range r {
			out = append(out, float32(v))
		}
	}
	return out
}

var grouped = sizes{layers: 2, kv: 2, r: 3, qk: 4, vo: 5, ffn: 3, embed: 9, bias: true}

// look gathers the activations of the set's present weights.
func look(t *testing.T, s *param.Set, z sizes, o Options) *Evidence {
	t.Helper()
	e := NewEvidence(s, o)
	x := inputs(64, z.embed, 3)
	for n := range z.layers {
		qkv, ctx := project(s, z, n, x)
		for site, rows := range map[string][][]float64{"qkv": qkv, "ctx": ctx} {
			want := false
			for _, has := range e.Sites() {
				want = want || has.Name == param.InLayer(n, site)
			}
			if !want {
				continue
			}
			if err := e.Observe(param.InLayer(n, site), flat(rows), 1, len(x)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return e
}

// TestBasisLeavesProducts: the rotated model has the same products, so it
// computes the same function; and the two sides' moments are equal and diagonal.
func TestBasisLeavesProducts(t *testing.T) {
	for _, z := range []sizes{gpt, grouped, small} {
		for _, method := range []string{BasisSVD, BasisDataSVD} {
			s := z.set(t)
			e := NewEvidence(s, Options{Basis: true})
			if !z.rope {
				e = look(t, s, z, Options{Basis: true})
			} else {
				watch(t, e, 2, 32, 1)
			}
			was := z.set(t)
			spectrum, err := ChangeBasis(s, e, method, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, kind := range []Kind{QK, VO} {
				if kind == QK && z.rope {
					if _, ok := spectrum["layer.0.qk"]; ok {
						t.Error("rotation pairs were mixed")
					}
					continue
				}
				for h := range z.kv * z.r {
					a, b := product(was, z, kind, 0, h/z.r, h%z.r), product(s, z, kind, 0, h/z.r, h%z.r)
					var diff mat.Dense
					diff.Sub(a, b)
					// float32 weights, mixed with a condition of about 1e2
					if d := mat.Norm(&diff, 2) / mat.Norm(a, 2); d > 2e-5 {
						t.Errorf("%s: product of %s head %d moved by %g", method, kind, h, d)
					}
				}
				values := spectrum[param.InLayer(0, string(kind))]
				for l, sv := range values {
					g := Groups(s)[map[Kind]int{QK: 0, VO: 1}[kind]]
					ga, gb, err := moments(s, e, &g, l, method)
					if err != nil {
						t.Fatal(err)
					}
					for i := range sv {
						if i > 0 && sv[i] > sv[i-1] {
							t.Errorf("%s: singular values rise: %v", method, sv)
						}
						for j := range sv {
							want := 0.0
							if i == j {
								want = sv[i]
							}
							// the ridge of 1e-6 of the mean moment is in the weakest directions
							if d := max(math.Abs(ga.At(i, j)-want), math.Abs(gb.At(i, j)-want)); d > 2e-3*sv[0] {
								t.Errorf("%s %s head %d: moments %g and %g at %d, %d, expected %g", method, kind, l, ga.At(i, j), gb.At(i, j), i, j, want)
							}
						}
					}
				}
			}
		}
	}
}

// TestMomentaAreThoseOfTheNewBasis: gradients that are carried through a change of basis are the
// gradients of the weights in it, of a loss that is linear in the pairs' products.
func TestMomentaAreThoseOfTheNewBasis(t *testing.T) {
	for _, z := range []sizes{gpt, grouped} {
		s := z.set(t)
		// gradients of sum over heads of <N, O^T V> with N fixed; row u of O has N v_u, of V the sum of N^T o_u.
		gradients := func() *param.Slab {
			rng, slab := rand.New(rand.NewPCG(3, 4)), s.NewSlab()
			o, v := s.Param("layer.0.o"), s.Param("layer.0.v")
			for h := range z.kv * z.r {
				n := make([]float64, z.embed*z.embed)
				for i := range n {
					n[i] = rng.NormFloat64()
				}
				for u := range z.vo {
					at, of := (h*z.vo+u)*z.embed, (h/z.r*z.vo+u)*z.embed
					for i := range z.embed {
						for j := range z.embed {
							o.In(slab)[at+i] += float32(n[i*z.embed+j] * float64(v.Data()[of+j]))
							v.In(slab)[of+j] += float32(n[i*z.embed+j] * float64(o.Data()[at+i]))
						}
					}
				}
			}
			return slab
		}
		was := gradients()
		before := slices.Clone(was.Data)
		if _, err := ChangeBasis(s, nil, BasisSVD, []*param.Slab{was}, 0); err != nil {
			t.Fatal(err)
		}
		want := gradients()
		moved := false
		for _, name := range []string{"layer.0.o", "layer.0.v"} {
			p := s.Param(name)
			for i, g := range p.In(was) {
				if w := p.In(want)[i]; math.Abs(float64(g-w)) > 1e-3*(1+math.Abs(float64(w))) {
					t.Fatalf("%s element %d is %g, expected %g", name, i, g, w)
				}
				moved = moved || math.Abs(float64(g-before[p.Offset+i])) > 0.1
			}
		}
		if !moved {
			t.Error("nothing was carried")
		}
		was.Close()
		want.Close()
	}
}

// TestBasisOfAnEmptyHead: a head whose weights are zero keeps its basis and has no
// singular value above 0, whichever side is empty; the other heads are as without it.
func TestBasisOfAnEmptyHead(t *testing.T) {
	for _, method := range []string{BasisSVD, BasisDataSVD} {
		for _, side := range []param.Role{param.V, param.O} {
			whole, s := grouped.set(t), grouped.set(t)
			g := Groups(s)[1] // vo of layer 0
			for _, p := range g.params {
				if p.Role != side && p.Role != side.Bias() {
					continue
				}
				for _, unit := range g.unitRows(p, p.Data(), 0) {
					for _, row := range unit {
						clear(row)
					}
				}
			}
			before := map[string][][][]float32{} // parameter, unit, row
			for _, p := range g.params {
				for _, unit := range g.unitRows(p, p.Data(), 0) {
					var rows [][]float32
					for _, row := range unit {
						rows = append(rows, slices.Clone(row))
					}
					before[p.Name] = append(before[p.Name], rows)
				}
			}
			got, err := ChangeBasis(s, look(t, s, grouped, Options{Basis: true}), method, nil)
			if err != nil {
				t.Fatalf("%s, %s is zero: %v", method, side, err)
			}
			want, err := ChangeBasis(whole, look(t, whole, grouped, Options{Basis: true}), method, nil)
			if err != nil {
				t.Fatal(err)
			}
			if zero := make([]float64, grouped.vo); !slices.Equal(got[g.Dim][0], zero) || !slices.Equal(got[g.Dim][1], want[g.Dim][1]) {
				t.Errorf("%s, %s is zero: singular values %v, expected zeros and %v", method, side, got[g.Dim], want[g.Dim][1])
			}
			for _, p := range g.params {
				for u, unit := range g.unitRows(p, p.Data(), 0) {
					for r, row := range unit {
						if !slices.Equal(row, before[p.Name][u][r]) {
							t.Fatalf("%s, %s is zero: unit %d of %s changed", method, side, u, p)
						}
					}
				}
			}
		}
	}
}

// TestBasisSVDIsTheSVD: with one query head, cutting the last units after svd
// leaves the best approximation of the product (Eckart and Young).
func TestBasisSVDIsTheSVD(t *testing.T) {
	z := gpt
	s := z.set(t)
	if _, err := ChangeBasis(s, nil, BasisSVD, nil); err != nil {
		t.Fatal(err)
	}
	full := product(z.set(t), z, VO, 0, 1, 0)
	var svd mat.SVD
	svd.Factorize(full, mat.SVDNone)
	tail := 0.0
	for _, v := range svd.Values(nil)[3:] {
		tail += v * v
	}
	cut := z // keep the first three units of head 1
	part := mat.NewDense(z.embed+1, z.embed+1, nil)
	for u := range 3 {
		x, y := row(s, "layer.0.o", z.vo+u), row(s, "layer.0.v", cut.vo+u)
		part.RankOne(part, 1, mat.NewVecDense(len(x), x), mat.NewVecDense(len(y), y))
	}
	part.Sub(full, part)
	if got := mat.Norm(part, 2); math.Abs(got-math.Sqrt(tail)) > 1e-4*math.Sqrt(tail) {
		t.Errorf("cutting three units leaves an error of %g, the best possible is %g", got, math.Sqrt(tail))
	}
}

// TestBasisCarriesMomentsOver: the evidence after the change is the evidence of
// the changed model's activations.
func TestBasisCarriesMomentsOver(t *testing.T) {
	o := Options{Basis: true, Compensation: true, Activations: true}
	for name, z := range map[string]sizes{"gpt": gpt, "grouped": grouped} {
		s := z.set(t)
		e := look(t, s, z, o)
		if err := e.Add("layer.0.vo", make([]float32, z.kv*z.vo), 1); err != nil {
			t.Fatal(err)
		}
		if _, err := ChangeBasis(s, e, BasisDataSVD, nil); err != nil {
			t.Fatal(err)
		}
		if e.Sequences("layer.0.vo") != 0 {
			t.Error("gates of the old basis are still there")
		}
		fresh := look(t, s, z, o)
		for n := range e.sites {
			for i, m := range e.sites[n].moments() {
				f := fresh.sites[n].moments()[i]
				if len(f.gram) == 0 || len(m.gram) != len(f.gram) {
					continue
				}
				for c := range m.sum {
					// float32 Gram matrices, mixed
					if scale := math.Sqrt(f.square[c] * f.weight); math.Abs(m.sum[c]-f.sum[c]) > 1e-4*scale || math.Abs(m.square[c]-f.square[c]) > 1e-4*f.square[c] {
						t.Errorf("%s layer %d moment %d column %d: %g and %g, expected %g and %g", name, n, i, c, m.sum[c], m.square[c], f.sum[c], f.square[c])
					}
				}
				for b, g := range m.gram {
					w := m.at[b+1] - m.at[b]
					for j, x := range g {
						scale := math.Sqrt(f.square[m.at[b]+j/w] * f.square[m.at[b]+j%w])
						if d := math.Abs(float64(x - f.gram[b][j])); d > 1e-4*scale {
							t.Fatalf("%s layer %d moment %d Gram element %d is %g, expected %g", name, n, i, j, x, f.gram[b][j])
						}
					}
				}
			}
		}
	}
}

func TestBasisRefuses(t *testing.T) {
	s := gpt.set(t)
	for name, err := range map[string]error{
		"unknown": func() error { _, err := ChangeBasis(s, nil, "pca", nil); return err }(),
		"no data": func() error { _, err := ChangeBasis(s, NewEvidence(s, Options{}), BasisDataSVD, nil); return err }(),
		"nothing seen": func() error {
			_, err := ChangeBasis(s, NewEvidence(s, Options{Basis: true}), BasisDataSVD, nil)
			return err
		}(),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for i, p := range s.Params {
		want := gpt.set(t).Params[i].Data()
		for j, x := range p.Data() {
			if x != want[j] {
				t.Fatalf("%s changed although everything was refused", p)
			}
		}
	}
}

// TestFactorOfOneDirection holds that the rounding of float32 sums does not stop a
// change of basis where one direction has nearly all the mass.
func TestFactorOfOneDirection(t *testing.T) {
	const n = 8
	for _, c := range []struct {
		off float64 // what rounding takes from the empty directions, of the mean diagonal
		ok  bool
	}{{0, true}, {1e-5, true}, {1e-3, true}, {0.1, false}} {
		g := mat.NewSymDense(n, nil)
		for i := range n {
			for j := range i + 1 {
				g.SetSym(i, j, 1)
			}
			g.SetSym(i, i, 1-c.off)
		}
		l, err := factor(g)
		if (err == nil) != c.ok {
			t.Errorf("%g below: %v", c.off, err)
		}
		if err != nil {
			continue
		}
		var back mat.Dense
		back.Mul(l, l.T())
		for i := range n {
			for j := range n {
				if d := math.Abs(back.At(i, j) - g.At(i, j)); d > 10*max(c.off, 1e-6) {
					t.Errorf("%g below: element %d, %d moved by %g", c.off, i, j, d)
				}
			}
		}
	}
}

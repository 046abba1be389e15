package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
)

// productRow is one shape of product, and how many a step has of it.
type productRow struct {
	product
	count int
}

// product is a matrix product C (m, n) of inner length k.
type product struct {
	m, n, k int
	kernel.Product
}

func (p product) form() string {
	s := [...]string{"N", "T"}
	b := func(t bool) int {
		if t {
			return 1
		}
		return 0
	}
	f := s[b(p.TransA)] + s[b(p.TransB)]
	if p.Accumulate {
		f += "+"
	}
	return f
}

// headRows is how many rows of logits exist at a time (kernel.HeadLoss).
const headRows = 256

// products lists the products of a plan, shape by shape, in the order of running.
func products(plan *graph.Plan) (rows []productRow) {
	add := func(p product) {
		for i := range rows {
			if q := rows[i].product; q.m == p.m && q.n == p.n && q.k == p.k && q.form() == p.form() {
				rows[i].count++
				return
			}
		}
		rows = append(rows, productRow{p, 1})
	}
	shape := func(i int) []int {
		if i < 0 {
			return plan.Leaves[-1-i].Shape
		}
		return plan.Steps[i].Shape
	}
	for _, s := range plan.Steps {
		name, _, _ := strings.Cut(s.Name, " ")
		in := strings.HasPrefix(s.Name, "LinearIn") || strings.Contains(s.Name, "(in true")
		switch {
		case strings.HasPrefix(name, "HeadLoss") && s.FLOPs > 0:
			x, w := shape(s.In[0]), shape(s.In[1])
			for lo := 0; lo < x[0]; lo += headRows {
				n := min(headRows, x[0]-lo)
				add(product{n, w[0], w[1], kernel.Product{TransB: true}})
				add(product{n, w[1], w[0], kernel.Product{}})
				add(product{w[0], w[1], n, kernel.Product{TransA: true, Accumulate: true}})
			}
		case !strings.HasPrefix(name, "Linear") || s.FLOPs == 0:
		default:
			p := product{m: s.Shape[0], n: s.Shape[1]}
			p.k = int(s.FLOPs / 2 / int64(p.m) / int64(p.n))
			switch {
			case strings.HasPrefix(name, "LinearGrad"):
				p.TransA, p.Accumulate = true, true
			case strings.HasPrefix(name, "LinearBackward"):
				p.TransB = in
			default:
				p.TransB = !in
			}
			add(p)
		}
	}
	return rows
}

func stepProducts(t testing.TB, o Options) []productRow {
	m, set, err := o.Layout()
	if err != nil {
		t.Fatal(err)
	}
	b := graph.NewBuilder(set, graph.BuildOptions{Train: true})
	m.Loss(b, o.Batch, o.Seq, 0)
	plan, err := b.Plan(graph.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return products(plan)
}

// TestProducts holds the list to what a step of gpt2-mini multiplies: four products a
// layer, thrice, and the head's three for each of four parts.
func TestProducts(t *testing.T) {
	o := Options{Model: "gpt2-mini", Batch: 4, Seq: 256, Of: "all"}
	count, flops := 0, 0.0
	for _, p := range stepProducts(t, o) {
		count, flops = count+p.count, flops+2*float64(p.count)*float64(p.m)*float64(p.n)*float64(p.k)
	}
	if want := 6*4*3 + 3*4; count != want {
		t.Errorf("%d products, expected %d", count, want)
	}
	if want := 6 * 1024 * (6*12*384*384 + 8192*384.0); flops != want {
		t.Errorf("%g FLOPs, expected %g", flops, want)
	}
}

// BenchmarkProducts is the matrix products of a training step, each timed by itself;
// "all" is the whole step's, as a share of the measured peak, weighted by time.
func BenchmarkProducts(b *testing.B) {
	for _, name := range []string{"llama-60m", "gpt2-small"} {
		o := measured()
		o.Model = name
		b.Run(name, func(b *testing.B) {
			rows := stepProducts(b, o)
			most := 0
			for _, p := range rows {
				most = max(most, p.m*p.n, p.m*p.k, p.k*p.n)
			}
			var bufs [3][]float32
			for i := range bufs {
				bufs[i] = make([]float32, most)
				for j := range bufs[i] {
					bufs[i][j] = float32(j%17+1) / 17
				}
			}
			pool := kernel.NewPool(0)
			defer pool.Close()
			peak, flops, seconds := kernel.PeakFLOPS(pool, 0.3), 0.0, 0.0
			for _, p := range rows {
				b.Run(fmt.Sprintf("%s/%dx%dx%d", p.form(), p.m, p.n, p.k), func(b *testing.B) {
					mat := func(buf []float32, m, n int, trans bool) kernel.Matrix {
						if trans {
							m, n = n, m
						}
						return kernel.Mat(buf[:m*n], m, n)
					}
					x, y, z := mat(bufs[0], p.m, p.k, p.TransA), mat(bufs[1], p.k, p.n, p.TransB), mat(bufs[2], p.m, p.n, false)
					start := time.Now()
					for b.Loop() {
						kernel.MatMul(pool, z, x, y, p.Product)
					}
					work := 2 * float64(p.m) * float64(p.n) * float64(p.k)
					one := time.Since(start).Seconds() / float64(b.N)
					flops, seconds = flops+float64(p.count)*work, seconds+float64(p.count)*one
					b.ReportMetric(work/one/1e9, "GFLOP/s")
					b.ReportMetric(work/one/peak, "of-peak")
					b.ReportMetric(float64(p.count), "in-a-step")
				})
			}
			b.Run("all", func(b *testing.B) {
				for b.Loop() { // timed above
				}
				b.ReportMetric(flops/seconds/peak, "of-peak")
			})
		})
	}
}

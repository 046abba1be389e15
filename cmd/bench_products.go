package cmd

import (
	"fmt"
	"io"
	"strings"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
)

// StepProducts is what bench gemm --step prints with --json: the matrix products of
// a training step, each timed by itself.
type StepProducts struct {
	Model string       `json:"model"`
	Batch int          `json:"batch"`
	Seq   int          `json:"seq"`
	DType string       `json:"dtype"`
	Peak  float64      `json:"peak_gflops"`
	Ms    float64      `json:"ms"`    // of all products of a step
	Share float64      `json:"share"` // of the peak, weighted by time
	Rows  []ProductRow `json:"rows"`
}

// ProductRow is one shape of product.
type ProductRow struct {
	Form   string  `json:"form"`  // NN, NT or TN; TN+ where it adds to the gradient
	Shape  string  `json:"shape"` // m x n x k
	Count  int     `json:"count"` // in a step
	Ms     float64 `json:"ms"`    // median of one
	GFLOPS float64 `json:"gflops"`
	Share  float64 `json:"share"`

	product product `json:"-"`
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
func products(plan *graph.Plan) (rows []ProductRow) {
	add := func(p product) {
		for i := range rows {
			if q := rows[i].product; q.m == p.m && q.n == p.n && q.k == p.k && q.form() == p.form() {
				rows[i].Count++
				return
			}
		}
		rows = append(rows, ProductRow{Form: p.form(), Shape: fmt.Sprintf("%dx%dx%d", p.m, p.n, p.k), Count: 1, product: p})
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

// RunStepProducts times the products of a training step.
func RunStepProducts(o BenchOptions, out io.Writer) error {
	m, set, err := o.layout()
	if err != nil {
		return err
	}
	b := graph.NewBuilder(set, graph.BuildOptions{Train: true})
	m.Loss(b, o.Batch, o.Seq, 0)
	plan, err := b.Plan(graph.PlanOptions{})
	if err != nil {
		return err
	}
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	r := StepProducts{Model: o.Model, Batch: o.Batch, Seq: o.Seq, DType: "f32", Peak: kernel.PeakFLOPS(pool, 0.3) / 1e9, Rows: products(plan)}
	if o.BF16 {
		r.DType, r.Peak = "bf16", kernel.PeakBF16(pool, 0.3)/1e9
		if r.Peak == 0 {
			return fault.Usage(fmt.Errorf("--dtype bf16: the path %s has no products of bfloat16 to compare with", kernel.CurrentPath()))
		}
	}
	most := 0
	for _, row := range r.Rows {
		p := row.product
		most = max(most, p.m*p.n, p.m*p.k, p.k*p.n)
	}
	bufs := [3][]float32{ramp(most), ramp(most), ramp(most)}
	flops := 0.0
	for i := range r.Rows {
		row := &r.Rows[i]
		p := row.product
		p.BF16 = o.BF16
		mat := func(buf []float32, m, n int, trans bool) kernel.Matrix {
			if trans {
				m, n = n, m
			}
			return kernel.Mat(buf[:m*n], m, n)
		}
		a, b, c := mat(bufs[0], p.m, p.k, p.TransA), mat(bufs[1], p.k, p.n, p.TransB), mat(bufs[2], p.m, p.n, false)
		row.Ms, _ = timed(o.Steps, func() error { kernel.MatMul(pool, c, a, b, p.Product); return nil })
		work := 2 * float64(p.m) * float64(p.n) * float64(p.k)
		row.GFLOPS = work / row.Ms / 1e6
		row.Share = row.GFLOPS / r.Peak
		r.Ms += float64(row.Count) * row.Ms
		flops += float64(row.Count) * work
	}
	r.Share = flops / r.Ms / 1e6 / r.Peak
	if o.JSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "products of a step of %s, B=%d T=%d, %s: %.1f ms, %.3f of the peak of %.0f GFLOP/s\n\n", r.Model, r.Batch, r.Seq, r.DType, r.Ms, r.Share, r.Peak)
	t := newTable("form", "m x n x k", "in a step", "ms", "GFLOP/s", "of peak")
	for _, row := range r.Rows {
		t.add(row.Form, row.Shape, row.Count, fmt.Sprintf("%.2f", row.Ms), fmt.Sprintf("%.1f", row.GFLOPS), fmt.Sprintf("%.2f", row.Share))
	}
	t.print(out)
	return nil
}

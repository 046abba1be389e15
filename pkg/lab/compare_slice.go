package lab

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
	"gonum.org/v1/gonum/mat"
)

// sliceSequences is how many calibration sequences directions are found by, at most.
const sliceSequences = 32

// slice gives the bundle the widest narrower model of at most so many parameters.
func (c *comparison) slice(b *bundle.Bundle, cal prune.Sequences, k coupled.Config) error {
	goal, err := k.Goal(b.Set, nil)
	if err != nil {
		return err
	}
	a := b.Model.Arch()
	each := a.Vocab // parameters of a column of the residual stream: the head stands by itself afterwards
	for _, p := range b.Set.Params {
		if p.Role != param.Head {
			each += p.Size() / a.Hidden
		}
	}
	m, set, err := sliced(c.pool, b.Model, b.Set, cal, min(a.Hidden, goal.Params/each))
	if err != nil {
		return err
	}
	b.Set.Close()
	b.Model, b.Set = m, set
	return nil
}

// sliced is a llama whose residual stream is narrower, after SliceGPT (https://arxiv.org/abs/2401.15024):
// gains of norms are folded into the matrices that read them, which leaves norms that any
// rotation commutes with; the stream is turned to the principal directions of what the norms
// see, and the least of them are left out. There is one rotation for all layers, where SliceGPT has
// one for each with a matrix between two, so that what comes out is a llama again. A tied
// head gets a matrix of its own, for it has the last norm's gain in it.
func sliced(pool *kernel.Pool, m model.Model, set *param.Set, cal prune.Sequences, width int) (model.Model, *param.Set, error) {
	a := m.Arch()
	if m.Table().Class != "LlamaForCausalLM" || width < 1 {
		return nil, nil, fmt.Errorf("slice makes a llama narrower, to 1 column or more; found a %s and %d columns", m.Family(), width)
	}
	turn, err := directions(pool, m, set, cal, width)
	if err != nil {
		return nil, nil, err
	}
	narrow, err := narrower(m, set, width)
	if err != nil {
		return nil, nil, err
	}
	out, err := param.New(narrow.Specs())
	if err != nil {
		return nil, nil, err
	}
	for _, q := range out.Params {
		p := set.Param(q.Name)
		if p == nil { // the head of a tied model
			p, _ = m.Head(set)
		}
		if isNorm(q.Role) {
			for i := range q.Data() {
				q.Data()[i] = float32(math.Sqrt(float64(a.Hidden) / float64(width))) // the mean square stays that of all columns
			}
			continue
		}
		rows := append([]float32(nil), p.Data()...)
		if g := gainOf(set, q); g != nil {
			for i := range rows {
				rows[i] *= g.Data()[i%a.Hidden]
			}
		}
		n := len(rows) / a.Hidden
		kernel.MatMul(pool, kernel.Mat(q.Data(), n, width), kernel.Mat(rows, n, a.Hidden), kernel.Mat(turn, a.Hidden, width), kernel.Product{})
	}
	return narrow, out, nil
}

func isNorm(r param.Role) bool { return r == param.Norm1 || r == param.Norm2 || r == param.FinalNorm }

// gainOf is the gain of the norm that a matrix reads, nil for none.
func gainOf(set *param.Set, p *param.Param) *param.Param {
	switch p.Role {
	case param.Q, param.K, param.V:
		return set.LayerParam(p.Layer, param.Norm1)
	case param.Gate, param.Up:
		return set.LayerParam(p.Layer, param.Norm2)
	case param.Head:
		return set.LayerParam(param.Outside, param.FinalNorm)
	}
	return nil
}

// narrower is the model with a residual stream of another width and a head of its own.
func narrower(m model.Model, set *param.Set, width int) (model.Model, error) {
	text, err := m.Config(set)
	if err != nil {
		return nil, err
	}
	var c map[string]any
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, err
	}
	a := m.Arch()
	delete(c, "ecospa")
	c["hidden_size"], c["head_dim"], c["tie_word_embeddings"] = width, a.HeadDim, false
	c["rms_norm_eps"] = a.Eps * float64(a.Hidden) / float64(width)
	if text, err = json.Marshal(c); err != nil {
		return nil, err
	}
	return model.Parse(text)
}

// directions are the principal directions of what the norms of a model see, [E, width], those of
// the largest variance.
func directions(pool *kernel.Pool, m model.Model, set *param.Set, cal prune.Sequences, width int) ([]float32, error) {
	n := m.Arch().Hidden
	gram := make([]float32, n*n)
	o := graph.LowerOptions{Pool: pool, SitesOnly: true, Sites: []string{"output"}}
	for l := range set.Layers() {
		o.Sites = append(o.Sites, param.InLayer(l, "input"), param.InLayer(l, "mid"))
	}
	o.Observe = func(_ string, x []float32, rows, cols int) error {
		unit := make([]float32, rows*cols)
		for r := range rows {
			row, sum := x[r*cols:(r+1)*cols], 1e-12
			for _, v := range row {
				sum += float64(v) * float64(v)
			}
			for i, v := range row {
				unit[r*cols+i] = v / float32(math.Sqrt(sum))
			}
		}
		of := kernel.Mat(unit, rows, cols)
		kernel.MatMul(pool, kernel.Mat(gram, n, n), of, of, kernel.Product{TransA: true, Accumulate: true})
		return nil
	}
	b := graph.NewBuilder(set, graph.BuildOptions{Documents: cal.Packed()})
	m.Loss(b, 1, cal.Context, 0)
	machine, err := b.Lower(o)
	if err != nil {
		return nil, err
	}
	defer machine.Close()
	for i := range min(cal.Len(), sliceSequences) {
		if err := cal.Batch.Slice(i, i+1).FeedInputs(machine); err != nil {
			return nil, err
		}
		if err := machine.RunAll(); err != nil {
			return nil, err
		}
	}
	sym := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i + 1 {
			sym.SetSym(i, j, float64(gram[i*n+j]))
		}
	}
	var e mat.EigenSym
	if !e.Factorize(sym, true) {
		return nil, fmt.Errorf("slice: the directions of the residual stream do not converge")
	}
	var v mat.Dense
	e.VectorsTo(&v) // values ascend
	out := make([]float32, n*width)
	for i := range n {
		for j := range width {
			out[i*width+j] = float32(v.At(i, n-1-j))
		}
	}
	return out, nil
}

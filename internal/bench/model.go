package bench

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Build makes a named model at the options' widths, with random weights. Of a
// pruned one only the kept parameters are ever in memory.
func (o Options) Build() (model.Model, *param.Set, error) {
	m, set, err := o.Layout()
	if err != nil {
		return nil, nil, err
	}
	c, _, err := o.Training()
	if err != nil {
		return nil, nil, err
	}
	set.Weights = set.NewSlab()
	if o.Q8 {
		return m, set, set.InitAs(1, param.Q8)
	}
	return m, set, set.InitAs(1, c.DType())
}

// Layout is Build without weights.
func (o Options) Layout() (model.Model, *param.Set, error) {
	s := model.Sizes{Name: o.Model}
	if !s.Images() {
		s.Context = o.Seq + 1
	}
	m, err := model.New(s)
	if err != nil {
		return nil, nil, refused("%w", err)
	}
	set, err := param.Layout(m.Specs())
	if err != nil {
		return nil, nil, err
	}
	if o.Prune > 0 {
		if err := o.uniform(set); err != nil {
			return nil, nil, refused("%w", err)
		}
	}
	cut, err := o.cut(set)
	if err != nil {
		return nil, nil, refused("%w", err)
	}
	return m, set, set.Shrink(cut)
}

// cut keeps the first units of every layer, to the options' widths.
func (o Options) cut(set *param.Set) (param.Cut, error) {
	cut := param.Cut{}
	for i := 0; set.Dim(fmt.Sprintf("layer.%d.kv", i)).Size > 0; i++ {
		for _, w := range []struct {
			kind    string
			columns int
		}{{"qk", o.QK}, {"vo", o.VO}, {"ffn", o.FFN}} {
			d := set.Dim(fmt.Sprintf("layer.%d.%s", i, w.kind))
			units := w.columns
			if d.Track {
				units /= 2 // rotation pairs
			}
			if w.columns == 0 {
				continue
			}
			if units < 1 || units > d.Size {
				return nil, fmt.Errorf("%s of %d columns: layer %d has %d units", w.kind, w.columns, i, d.Size)
			}
			keep := param.Keep{}
			for range max(1, set.Dim(d.Per).Size) {
				keep = append(keep, firstN(units))
			}
			cut[d.Name] = keep
		}
	}
	return cut, nil
}

func firstN(n int) []int {
	l := make([]int, n)
	for i := range l {
		l[i] = i
	}
	return l
}

// uniform sets the widths that keep o.Prune of what o.Of says: every kind has the
// same share of its dense width, heads in whole pairs of columns, feed-forward in
// multiples of 16. It finds the largest that are not above the budget.
func (o *Options) uniform(set *param.Set) error {
	width := func(kind string) int {
		d := set.Dim("layer.0." + kind)
		if d.Track {
			return 2 * d.Size
		}
		return d.Size
	}
	qk, vo, ffn := width("qk"), width("vo"), width("ffn")
	if qk*vo*ffn == 0 {
		return fmt.Errorf("%s has no widths to prune", o.Model)
	}
	of, fixed := set.Count(), 0
	if o.Of == "prunable" {
		fixed = of - coupled.Prunable(set)
		of -= fixed
	}
	budget := fixed + int(o.Prune*float64(of))
	for step := 1000; step > 0; step-- {
		share := float64(step) / 1000
		scaled := func(n, unit int) int { return min(n, max(unit, int(share*float64(n))/unit*unit)) }
		o.QK, o.VO, o.FFN = scaled(qk, 2), scaled(vo, 2), scaled(ffn, 16)
		if n, err := o.count(set); err != nil || n <= budget {
			return err
		}
	}
	return fmt.Errorf("%d parameters cannot be reached by pruning widths", budget)
}

// count is the parameters at the options' widths.
func (o Options) count(set *param.Set) (int, error) {
	small := set.Like()
	cut, err := o.cut(small)
	if err != nil {
		return 0, err
	}
	if err := small.Shrink(cut); err != nil {
		return 0, err
	}
	return small.Count(), nil
}

package bench

import (
	"context"
	"runtime"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/train"
)

// Loop is training with random inputs, its machine made; the caller closes it.
func (o Options) Loop(m model.Model, set *param.Set, pool *kernel.Pool) (*train.Loop, error) {
	c, oc, err := o.Training()
	if err != nil {
		return nil, err
	}
	l := train.NewLoop(c, oc, m, set, pool, NewNoise(m, o.Batch, o.Seq))
	if err := l.Join(o.group()); err != nil {
		l.Close()
		return nil, refused("%w", err)
	}
	if o.Evidence {
		l.Watch(coupled.Options{})
	}
	if err := l.Lower(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Step times training steps.
func (o Options) Step(ctx context.Context) (r Result, err error) {
	m, set, err := o.Build()
	if err != nil {
		return r, err
	}
	defer set.Close()
	g := o.group()
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	o.peak = o.rate(pool)
	l, err := o.Loop(m, set, pool)
	if err != nil {
		return r, err
	}
	defer l.Close()
	ms, heap, wire := make([]float64, 0, o.Steps), make([]int64, 0, o.Steps), make([]int64, 0, o.Steps)
	var sent int64
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	l.Attach(train.Hook{Name: "bench", Step: func(l *train.Loop) error {
		runtime.ReadMemStats(&now)
		if l.Step > 1 {
			ms = append(ms, l.Last.Ms)
			heap = append(heap, int64(now.TotalAlloc-before.TotalAlloc))
			wire = append(wire, g.Sent()-sent)
		}
		sent = g.Sent()
		runtime.ReadMemStats(&before)
		return nil
	}})
	if err := l.Run(ctx); err != nil {
		return r, err
	}
	r = o.result("train", set, pool, units.Median(ms), float64(l.Machine().Plan().FLOPs()))
	mem := l.Memory()
	r.HeapStep, r.Planned, r.Arena, r.InGradients = units.Median(heap), mem.Total()>>20, mem.Activations, mem.InGradients
	if g.Size() > 1 {
		r.Ranks, r.Wire, r.WireBytes, r.Moments = g.Size(), o.Wire, units.Median(wire), l.Memory().Moments
		r.GFLOPStep *= float64(g.Size())
	}
	return r, nil
}

// Versus times the dense model and then the pruned one.
func (o Options) Versus(ctx context.Context) (v Pair, err error) {
	full := o
	full.Prune, full.QK, full.VO, full.FFN = 0, 0, 0, 0
	if v.Dense, err = full.Step(ctx); err != nil {
		return v, err
	}
	if v.Pruned, err = o.Step(ctx); err != nil {
		return v, err
	}
	v.Params, v.Time = float64(v.Pruned.Params)/float64(v.Dense.Params), v.Pruned.Ms/v.Dense.Ms
	v.Planned, v.Resident = float64(v.Pruned.Planned)/float64(v.Dense.Planned), float64(v.Pruned.RSS)/float64(v.Dense.RSS)
	return v, nil
}

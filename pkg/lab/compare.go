package lab

import (
	"context"
	"time"

	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/kernel"
)

// Compare makes the cells of a comparison that are missing, and its tables and plot in
// file.Out. Dense models that are not there are trained first, as run directories.
func Compare(ctx context.Context, file config.Compare, e Env) (*CompareResult, error) {
	file = file.Resolve()
	if err := file.Validate(); err != nil {
		return nil, err
	}
	start := time.Now()
	cells, made, err := compareCells(ctx, file, e)
	if err != nil {
		return nil, err
	}
	r := tabulate(file, cells)
	r.Made, r.Seconds = made, time.Since(start).Seconds()
	return r, r.write(file.Out)
}

// compareCells makes the cells of a valid comparison that are missing, and returns all
// of them and how many were made.
func compareCells(ctx context.Context, file config.Compare, e Env) (cells []CompareCell, made int, err error) {
	c := &comparison{Compare: file, Env: e, ctx: ctx}
	if c.Threads > 0 {
		file.Train.Train.Threads = c.Threads
	}
	c.pool = kernel.NewPool(file.Train.Train.Threads)
	defer c.pool.Close()
	cells, err = c.run()
	return cells, c.made, err
}

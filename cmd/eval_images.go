package cmd

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/train"
)

// EvalImagesResult is what eval prints with --json for a model of images.
type EvalImagesResult struct {
	Loss       float64 `json:"loss"` // nats per image
	Top1       float64 `json:"top1"` // share of images whose class is the likeliest
	Top5       float64 `json:"top5"` // or among the five likeliest
	Images     int     `json:"images"`
	Params     int     `json:"params"`
	Seconds    float64 `json:"seconds"`
	ImagesPerS float64 `json:"images_per_s"` // decoding included
	PeakRSS    int64   `json:"peak_rss"`     // bytes
}

// evalImages measures a classifier.
func (o EvalOptions) evalImages(l *loaded, c model.Classifier, out io.Writer) error {
	if o.Context != 0 || o.Field != "text" || o.Prompt != "" {
		return fault.Usage(errors.New("--context, --field and --prompt-field apply to text, the model classifies images"))
	}
	m, n, err := classified(o.Data, c)
	if err != nil {
		return err
	}
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	start := time.Now()
	v, err := judgeImages(o.ranks.Group, c, l.set, pool, m, n, o.Batch, o.Limit)
	if err != nil {
		return err
	}
	r := EvalImagesResult{Loss: v.Loss, Top1: v.Top1, Top5: v.Top5, Images: v.Tokens, Params: l.set.Count(), Seconds: time.Since(start).Seconds()}
	r.ImagesPerS = float64(r.Images) / r.Seconds
	_, r.PeakRSS = sysmem.Resident()
	if o.JSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "top-1       %.2f %%\ntop-5       %.2f %%\nloss        %.4f nats an image\nimages      %d\nparameters  %d\nspeed       %.0f images/s\n",
		100*r.Top1, 100*r.Top5, r.Loss, r.Images, r.Params, r.ImagesPerS)
	return nil
}

// judgeImages evaluates a classifier on at most limit images (0: all), batch at a
// time; 0 is about 4096 tokens. Batches are dealt out to the ranks.
func judgeImages(g dist.Group, c model.Classifier, set *param.Set, pool *kernel.Pool, m *data.Images, n data.Normalise, batch, limit int) (train.Evaluation, error) {
	if batch == 0 {
		batch = max(1, min(4096/c.Context(), (m.Len()+g.Size()-1)/g.Size()))
	}
	e, err := train.NewEvaluator(c, set, pool, batch, c.Context(), false)
	if err != nil {
		return train.Evaluation{}, err
	}
	defer e.Close()
	v, err := e.RunOn(g, m.Batches(n, batch, limit))
	if errors.Is(err, data.ErrImages) {
		err = fault.BadInput(err)
	}
	return v, err
}

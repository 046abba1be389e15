package workload

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/train"
)

// Vectors is texts for an encoder without a head. A model's loss is how far the direction
// of a text's vector is from that of the model as it was when the texts were opened:
// 1 - cosine.
type Vectors struct {
	texts
	bundle  *bundle.Bundle
	threads int
	params  int // of the model that the vectors are compared with
	most    int // tokens of a text
	held    map[[2]int][]float32
}

func newVectors(t texts, b *bundle.Bundle, most int) *Vectors {
	return &Vectors{texts: t, bundle: b, params: b.Set.Count(), most: most, held: map[[2]int][]float32{}}
}

// Unit implements Workload.
func (v *Vectors) Unit() Unit { return OneText }

// Counts implements Workload.
func (v *Vectors) Counts() (training, validation int) { return v.training.Len(), v.validation.Len() }

// Context implements Workload: by itself it is as long as the longest text needs.
func (v *Vectors) Context(m model.Model, asked, limit int) (int, error) {
	if asked == 0 {
		asked = min(m.Context(), v.most, max(v.training.Longest(), v.validation.Longest()))
		if limit > 0 {
			asked = min(asked, limit)
		}
	}
	return asked, check(m, asked)
}

// Sequences implements Workload.
func (v *Vectors) Sequences(int) (int, error) { return v.training.Len(), nil }

// Batches implements Workload. They have no Vectors: recovery makes them with the model
// before the cut.
func (v *Vectors) Batches(batch, context int, at data.Cursor) (Batches, error) {
	b, err := data.NewTextBatches(v.training, batch, context, at)
	return b, fault.BadInput(err)
}

// noise is the length of what is added to the vectors of calibration texts, whose own
// length is 1. Where a model is compared with itself the distance is 0 and so is its
// gradient; with noise e the gradient is that of e·vector, whose square has the mean that
// the second derivative of the distance has: what Fisher information is. It is small
// beside the distances of trial cuts.
const noise = 0.01

// Calibration implements Workload.
func (v *Vectors) Calibration(n, context int, seed uint64) (prune.Sequences, error) {
	b, err := data.SampleTexts(v.training, n, context, seed)
	if err != nil {
		return prune.Sequences{}, fault.BadInput(err)
	}
	r, err := v.reference(min(8, b.N), context)
	if err != nil {
		return prune.Sequences{}, err
	}
	defer r.close()
	for lo := 0; lo < b.N; lo += r.batch {
		x, err := r.vectors(b.Slice(lo, min(lo+r.batch, b.N)))
		if err != nil {
			return prune.Sequences{}, err
		}
		b.Vectors = append(b.Vectors, x...)
	}
	rng := rand.New(rand.NewPCG(seed, 0x6e6f697365))
	each := noise / math.Sqrt(float64(v.bundle.Model.Arch().Hidden))
	for i := range b.Vectors {
		b.Vectors[i] += float32(each * rng.NormFloat64())
	}
	return prune.Sequences{Context: context, Batch: b}, nil
}

// Validation implements Workload. limit is tokens that are read.
func (v *Vectors) Validation(batch, context, limit int) iter.Seq2[data.Batch, error] {
	if v.validation.Len() == 0 {
		return nil
	}
	return func(yield func(data.Batch, error) bool) {
		if err := v.prepare(batch, context, limit); err != nil {
			yield(data.Batch{}, err)
			return
		}
		all := v.held[[2]int{context, limit}]
		width := v.bundle.Model.Arch().Hidden
		out := make([]float32, batch*width)
		for b, err := range data.TextWindows(v.validation, batch, context, limit) {
			if err == nil {
				clear(out[copy(out, all):])
				all = all[min(len(all), len(out)):]
				b.Vectors = out
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// prepare makes the vectors of the validation texts, unless it has made them before.
func (v *Vectors) prepare(batch, context, limit int) (err error) {
	key := [2]int{context, limit}
	if _, ok := v.held[key]; !ok {
		v.held[key], err = v.whole(batch, context, limit)
	}
	return err
}

// whole is the vectors of the validation texts.
func (v *Vectors) whole(batch, context, limit int) (all []float32, err error) {
	r, err := v.reference(batch, context)
	if err != nil {
		return nil, err
	}
	defer r.close()
	for b, err := range data.TextWindows(v.validation, batch, context, limit) {
		if err != nil {
			return nil, err
		}
		x, err := r.vectors(b)
		if err != nil {
			return nil, err
		}
		all = append(all, x[:b.Predicted()*r.width]...)
	}
	return all, nil
}

// Evaluate implements Workload. A first call makes the vectors that later ones compare
// with: the model must then be the one that was opened.
func (v *Vectors) Evaluate(on prune.Subject, o EvalOptions) (train.Evaluation, error) {
	if v.validation.Len() == 0 {
		return train.Evaluation{}, fault.BadInput(fmt.Errorf("%s: no text is held out to evaluate on", v.name))
	}
	o.Context = min(o.Context, v.validation.Longest())
	return evaluate(on, o, v.validation.Len(), func(batch int) iter.Seq2[data.Batch, error] { return v.Validation(batch, o.Context, o.Limit) })
}

// reference is the machine that makes the vectors which others are compared with.
type reference struct {
	model                 model.Encoder
	batch, context, width int
	machine               *graph.Machine
	close                 func()
}

func (v *Vectors) reference(batch, context int) (*reference, error) {
	m, set := v.bundle.Model.(model.Encoder), v.bundle.Set
	if set.Count() != v.params {
		return nil, fmt.Errorf("workload: the vectors of the model before the cut are asked for, and it has been cut")
	}
	return newReference(m, set, batch, context, v.threads)
}

func newReference(m model.Encoder, set *param.Set, batch, context, threads int) (*reference, error) {
	on := prune.NewSubject(m, set, threads, nil)
	b := graph.NewBuilder(set, graph.BuildOptions{Documents: true})
	b.Output("hidden", m.Hidden(b, batch, context))
	machine, err := b.Lower(graph.LowerOptions{Pool: on.Pool})
	if err != nil {
		on.Close()
		return nil, err
	}
	return &reference{model: m, batch: batch, context: context, width: m.Arch().Hidden, machine: machine, close: func() { machine.Close(); on.Close() }}, nil
}

// vectors are those of the texts of a batch, each of length 1; a batch may have fewer than
// the machine takes.
func (r *reference) vectors(b data.Batch) ([]float32, error) {
	n := r.batch * r.context
	full := data.Batch{N: r.batch, IDs: make([]int32, n), Starts: make([]int32, n), Positions: make([]int32, n)}
	for i := copy(full.Starts, b.Starts); i < len(full.Starts); i++ {
		full.Starts[i] = int32(r.context)
	}
	copy(full.IDs, b.IDs)
	copy(full.Positions, b.Positions)
	if err := full.FeedInputs(r.machine); err != nil {
		return nil, err
	}
	if err := r.machine.RunAll(); err != nil {
		return nil, err
	}
	return model.UnitVectors(r.model, r.machine.Output("hidden"), r.batch, full.Starts)[:b.N*r.width], nil
}

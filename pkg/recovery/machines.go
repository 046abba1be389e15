package recovery

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// newRunner builds the graphs of parent and child.
func newRunner(s *Stage) (*runner, error) {
	r := &runner{Stage: s, own: ownSites(s.Parent.Set, s.Child.Set)}
	if !s.inBackward() {
		r.grads = s.Child.Set.NewSlab()
	}
	r.opt = optim.New(s.Child.Set, r.optimizer(1))
	r.scale = optim.WeightScale(s.Child.Set, s.Gain)
	err := r.lower()
	if err == nil {
		err = r.countWork()
	}
	words := 0
	for _, run := range s.Child.Set.Words() {
		words += len(run)
	}
	if s.Held != nil {
		r.best = param.NewSlab(words)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *runner) close() {
	for _, m := range []*graph.Machine{r.parent, r.child} {
		if m != nil {
			m.Close()
		}
	}
	if r.judge != nil {
		r.judge.Close()
	}
	for _, s := range []*param.Slab{r.grads, r.best} {
		if s != nil {
			s.Close()
		}
	}
	optim.Close(r.opt)
}

// bytes is the memory that the recovery takes.
func (r *runner) bytes() int64 {
	n := r.parent.Plan().ArenaBytes() + r.child.Plan().ArenaBytes() + r.forward + r.inputBytes(r.Child, len(r.sites))
	n += r.Parent.Set.WeightBytes() + r.Child.Set.WeightBytes()
	for _, s := range []*param.Slab{r.grads, r.best} {
		if s != nil {
			n += 4 * int64(len(s.Data))
		}
	}
	for _, s := range r.opt.Slabs() {
		n += 4 * int64(len(s.Slab.Data))
	}
	return n
}

// parentGraph is the parent's: its last hidden states, of which the child's loss makes logits
// a chunk at a time, and on the way its residual stream.
func (o Options) parentGraph(parent Net) *graph.Builder {
	b := graph.NewBuilder(parent.Set, graph.BuildOptions{States: true, BF16: o.BF16, Documents: true})
	if e := encoder(parent); e != nil {
		b.Output(graph.StatesOutput, e.Hidden(b, o.Batch, o.Context))
	} else {
		parent.Model.Loss(b, o.Batch, o.Context, 0)
	}
	return b
}

// teacher is the parent's head as the child's loss needs it, without its weights where they
// have no storage; nil where the loss compares vectors.
func (o Options) teacher(parent Net) *graph.Teacher {
	if encoder(parent) != nil {
		return nil
	}
	w, bias := parent.Model.Head(parent.Set)
	t := &graph.Teacher{Width: w.Dims[len(w.Dims)-1].Size, Temperature: 1, Weight: float32(1 - o.LM)}
	if parent.Set.Weights == nil {
		return t
	}
	b := w.BlockOf()
	at := w.Offset - b.Offset
	switch stored := b.Stored(parent.Set); {
	case stored.BF16 != nil:
		t.Stored.BF16 = stored.BF16[at:][:w.Size()]
	default:
		t.W = w.Data()
	}
	if bias != nil {
		t.Bias = bias.Data()
	}
	return t
}

// encoder is the parent where it is an encoder without a head: then it is its texts'
// vectors that the child learns.
func encoder(parent Net) model.Encoder {
	if e, ok := parent.Model.(model.Encoder); ok && !e.Arch().MaskedLM {
		return e
	}
	return nil
}

// childGraph is the child's loss against a teacher and the parent's residual stream, and the
// sites of that.
func (o Options) childGraph(child Net, t *graph.Teacher) (b *graph.Builder, sites []string) {
	b = graph.NewBuilder(child.Set, graph.BuildOptions{Train: true, BF16: o.BF16, Teacher: t, Documents: true})
	child.Model.Loss(b, o.Batch, o.Context, 0)
	if o.Hidden <= 0 {
		return b, nil
	}
	for _, site := range b.Sites() {
		if !stream(site) {
			continue
		}
		x := b.AtSite(site)
		b.MatchLoss(x, b.Floats(input(site), x.Shape()[0], x.Shape()[1]), b.Scalar("pull"))
		sites = append(sites, site)
	}
	return b, sites
}

// lower makes the machines.
func (r *runner) lower() (err error) {
	o := graph.LowerOptions{Pool: r.Pool}
	if r.Hidden > 0 {
		o.Observe = r.show
	}
	if r.parent, err = r.parentGraph(r.Parent).Lower(o); err != nil {
		return fmt.Errorf("recovery: the parent: %w", err)
	}
	b, sites := r.childGraph(r.Child, r.teacher(r.Parent))
	r.sites = sites
	o = graph.LowerOptions{Pool: r.Pool, Recompute: r.Recompute}
	if r.inBackward() {
		o.Update = r.updateBlock
	} else {
		o.Grads = r.grads
	}
	if r.child, err = b.Lower(o); err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	return nil
}

// countWork counts the operations of a step and of a measurement's batch.
func (r *runner) countWork() error {
	r.work.step = r.parent.Plan().FLOPs() + r.child.Plan().FLOPs() + r.child.Plan().RecomputedFLOPs()
	for n, flops := range map[*Net]*int64{&r.Parent: &r.work.parent, &r.Child: &r.work.child} {
		p, err := r.forwardPlan(*n)
		if err != nil {
			return err
		}
		*flops, r.forward = p.FLOPs(), max(r.forward, p.ArenaBytes())
	}
	return nil
}

// show gives a value of the parent's residual stream to the child, where the child has the
// layer still.
func (r *runner) show(site string, x []float32, _, _ int) error {
	if own, ok := r.own[site]; ok && slices.Contains(r.sites, own) {
		return r.child.SetFloats(input(own), x...)
	}
	return nil
}

// ownSites is what the child calls the sites of the parent's layers that it still has.
func ownSites(parent, child *param.Set) map[string]string {
	own := map[string]string{"output": "output"}
	for i, from := range child.LayerOrigin() {
		l := slices.Index(parent.LayerOrigin(), from)
		for _, what := range []string{"input", "mid"} {
			own[param.InLayer(l, what)] = param.InLayer(i, what)
		}
	}
	return own
}

func input(site string) string { return "parent." + site }

// stream reports whether a site is the residual stream behind a sub-layer.
func stream(site string) bool {
	return strings.HasSuffix(site, ".mid") || strings.HasSuffix(site, ".input") && site != "layer.0.input" || site == "output"
}

// gradients runs both models on a batch; it returns the mean divergence: in nats
// a token, or of vectors 1 - cosine.
func (r *runner) gradients(b data.Batch) (float64, error) {
	predicted := b.Predicted()
	if predicted == 0 {
		return 0, errors.New("recovery: a batch has no token to predict")
	}
	if err := b.FeedInputs(r.parent); err != nil {
		return 0, err
	}
	if len(r.sites) > 0 {
		if err := r.child.SetFloats("pull", r.pull(r.step, len(r.sites))); err != nil {
			return 0, err
		}
	}
	if err := r.parent.RunAll(); err != nil {
		return 0, fmt.Errorf("recovery: the parent: %w", err)
	}
	states, distance := r.parent.Output(graph.StatesOutput), "kl"
	if e := encoder(r.Parent); e != nil {
		distance, b.Vectors = "nll", model.UnitVectors(e, states, b.N, b.Starts)
	} else if err := r.child.SetFloats(graph.TeacherInput, states...); err != nil {
		return 0, err
	}
	if err := b.Feed(r.child, 1/float32(predicted)); err != nil {
		return 0, err
	}
	if err := r.child.RunAll(); err != nil {
		return 0, fmt.Errorf("recovery: %w", err)
	}
	var sum float64
	for i, kl := range r.child.Output(distance) {
		if b.Targets[i] >= 0 {
			sum += float64(kl)
		}
	}
	return sum / float64(predicted), nil
}

// learn makes a step at a learning rate and returns the mean divergence before it.
func (r *runner) learn(b data.Batch, rate float64) (float64, error) {
	r.update = optim.Step{Pool: r.Pool, Set: r.Child.Set, Grads: r.grads, LR: rate, Scale: r.scale}
	r.squares, r.begun = 0, false
	kl, err := r.gradients(b)
	if err != nil {
		return 0, err
	}
	if r.inBackward() {
		r.norm = math.Sqrt(r.squares)
		return kl, r.finite(kl)
	}
	r.update.Norm = optim.GradNorm(r.Pool, r.grads)
	if err := r.finite(kl, r.update.Norm); err != nil {
		return 0, err
	}
	r.opt.Update(r.update)
	return kl, nil
}

// updateBlock updates a block by its gradient during the backward pass, scaled as if the norm of
// all gradients were the larger of the step before's and the block's own.
func (r *runner) updateBlock(b *param.Block, grad []float32) error {
	if !r.begun {
		if err := r.finite(float64(r.child.Output(graph.LossOutput)[0])); err != nil {
			return err
		}
		r.begun = true
		r.opt.Begin()
	}
	square := kernel.SumSquares(r.Pool, grad)
	if err := r.finite(square); err != nil {
		return err
	}
	r.squares += square
	r.update.Norm = max(r.norm, math.Sqrt(square))
	r.opt.UpdateBlock(r.update, b, grad)
	return nil
}

// finite is an error where a loss, or the norm of a gradient, is not.
func (r *runner) finite(x ...float64) error {
	for _, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("recovery: step %d: the loss or its gradient is not finite; a lower rate than %g may help", r.step+1, r.Rate)
		}
	}
	return nil
}

package recovery

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// newRunner builds the graphs of parent and child.
func newRunner(s *Stage) (*runner, error) {
	r := &runner{Stage: s, grads: s.Child.Set.NewSlab(), own: ownSites(s.Parent.Set, s.Child.Set)}
	r.opt = optim.New(s.Child.Set, r.optimizer(1))
	r.scale = optim.WeightScale(s.Child.Set, s.Gain)
	teacher, err := r.buildParent()
	if err == nil {
		err = r.buildChild(teacher)
	}
	if err == nil && s.Held != nil {
		r.best = s.Child.Set.NewSlab()
		r.judge, err = s.Held(s.Child)
	}
	if s.Save != nil || s.From != nil {
		r.now = s.Child.Set.NewSlab()
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
	for _, s := range []*param.Slab{r.grads, r.best, r.now} {
		if s != nil {
			s.Close()
		}
	}
	optim.Close(r.opt)
}

// bytes is the memory that the recovery takes, the judge's machine aside.
func (r *runner) bytes() int64 {
	n := r.parent.Plan().ArenaBytes() + r.child.Plan().ArenaBytes() + 4*int64(r.Parent.Set.Len()+r.Child.Set.Len()+len(r.grads.Data))
	for _, s := range []*param.Slab{r.best, r.now} {
		if s != nil {
			n += 4 * int64(len(s.Data))
		}
	}
	for _, s := range r.opt.Slabs() {
		n += 4 * int64(len(s.Slab.Data))
	}
	return n
}

// buildParent makes the machine of the parent: its last hidden states, of which the
// child's loss makes logits a chunk at a time, and on the way its residual stream,
// which goes straight to the child's inputs.
func (r *runner) buildParent() (*graph.Teacher, error) {
	b := graph.NewBuilder(r.Parent.Set, graph.BuildOptions{States: true, BF16: r.BF16, Documents: true})
	if e := r.encoder(); e != nil {
		b.Output(graph.StatesOutput, e.Hidden(b, r.Batch, r.Context))
	} else {
		r.Parent.Model.Loss(b, r.Batch, r.Context, 0)
	}
	o := graph.LowerOptions{Pool: r.Pool}
	if r.Hidden > 0 {
		o.Observe = r.show
	}
	var err error
	if r.parent, err = b.Lower(o); err != nil {
		return nil, fmt.Errorf("recovery: the parent: %w", err)
	}
	if r.encoder() != nil {
		return nil, nil // the child's loss compares vectors
	}
	w, bias := r.Parent.Model.Head(r.Parent.Set)
	t := &graph.Teacher{W: w.Data(), Width: w.Dims[len(w.Dims)-1].Size, Temperature: 1, Weight: float32(1 - r.LM)}
	if bias != nil {
		t.Bias = bias.Data()
	}
	return t, nil
}

// encoder is the parent where it is an encoder without a head: then it is its texts'
// vectors that the child learns.
func (r *runner) encoder() model.Encoder {
	if e, ok := r.Parent.Model.(model.Encoder); ok && !e.Arch().MaskedLM {
		return e
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

func (r *runner) buildChild(t *graph.Teacher) (err error) {
	b := graph.NewBuilder(r.Child.Set, graph.BuildOptions{Train: true, BF16: r.BF16, Teacher: t, Documents: true})
	r.Child.Model.Loss(b, r.Batch, r.Context, 0)
	if r.Hidden > 0 {
		for _, site := range b.Sites() {
			if !stream(site) {
				continue
			}
			x := b.AtSite(site)
			b.MatchLoss(x, b.Floats(input(site), x.Shape()[0], x.Shape()[1]), b.Scalar("pull"))
			r.sites = append(r.sites, site)
		}
	}
	if r.child, err = b.Lower(graph.LowerOptions{Pool: r.Pool, Grads: r.grads}); err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	return nil
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
	if e := r.encoder(); e != nil {
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

package recovery

import (
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/optim"
)

// newRunner builds the graphs of parent and child.
func newRunner(s *Stage) (*runner, error) {
	r := &runner{Stage: s, grads: s.Child.Set.NewSlab()}
	r.opt = optim.New(s.Child.Set, r.optimizer(1))
	r.scale = optim.WeightScale(s.Child.Set, s.Gain)
	teacher, err := r.buildParent()
	if err == nil {
		err = r.buildChild(teacher)
	}
	if err == nil && s.Held != nil {
		r.best = s.Child.Set.NewSlab()
		r.eval, err = s.evaluator(s.Child)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *runner) close() {
	for _, m := range []*graph.Machine{r.parent, r.child, r.eval} {
		if m != nil {
			m.Close()
		}
	}
	r.grads.Close()
	if r.best != nil {
		r.best.Close()
	}
	optim.Close(r.opt)
}

// buildParent makes the machine of the parent: its last hidden states, of which the
// child's loss makes logits a chunk at a time, and on the way its residual stream,
// which goes straight to the child's inputs.
func (r *runner) buildParent() (*graph.Teacher, error) {
	b := graph.NewBuilder(r.Parent.Set, graph.BuildOptions{States: true, BF16: r.BF16, Documents: r.Documents})
	r.Parent.Model.Loss(b, r.Batch, r.Context, 0)
	o := graph.LowerOptions{Pool: r.Pool}
	if r.Hidden > 0 {
		o.Observe = r.show
	}
	var err error
	if r.parent, err = b.Lower(o); err != nil {
		return nil, fmt.Errorf("recovery: the parent: %w", err)
	}
	w, bias := r.Parent.Model.Head(r.Parent.Set)
	t := &graph.Teacher{W: w.Data(), Width: w.Dims[len(w.Dims)-1].Size, Temperature: 1, Weight: float32(1 - r.LM)}
	if bias != nil {
		t.Bias = bias.Data()
	}
	return t, nil
}

// show gives a value of the parent's residual stream to the child.
func (r *runner) show(site string, x []float32, _, _ int) error {
	for _, s := range r.sites {
		if s == site {
			return r.child.SetFloats(input(site), x...)
		}
	}
	return nil
}

func input(site string) string { return "parent." + site }

// stream reports whether a site is the residual stream behind a sub-layer.
func stream(site string) bool {
	return strings.HasSuffix(site, ".mid") || strings.HasSuffix(site, ".input") && site != "layer.0.input" || site == "output"
}

func (r *runner) buildChild(t *graph.Teacher) (err error) {
	b := graph.NewBuilder(r.Child.Set, graph.BuildOptions{Train: true, BF16: r.BF16, Teacher: t, Documents: r.Documents})
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

// gradients runs both models on a batch; it returns the mean divergence, in nats a token.
func (r *runner) gradients(b data.Batch) (float64, error) {
	predicted := b.Predicted()
	if predicted == 0 {
		return 0, errors.New("recovery: a batch has nothing to predict")
	}
	if err := b.FeedInputs(r.parent); err != nil {
		return 0, err
	}
	if err := b.Feed(r.child, 1/float32(predicted)); err != nil {
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
	if err := r.child.SetFloats(graph.TeacherInput, r.parent.Output(graph.StatesOutput)...); err != nil {
		return 0, err
	}
	if err := r.child.RunAll(); err != nil {
		return 0, fmt.Errorf("recovery: %w", err)
	}
	var sum float64
	for i, kl := range r.child.Output("kl") {
		if b.Targets[i] >= 0 {
			sum += float64(kl)
		}
	}
	return sum / float64(predicted), nil
}

// evaluator is a model's machine for held-out batches.
func (s *Stage) evaluator(n Net) (*graph.Machine, error) {
	b := graph.NewBuilder(n.Set, graph.BuildOptions{BF16: s.BF16, Documents: s.Documents})
	n.Model.Loss(b, s.Batch, s.Context, 0)
	return b.Lower(graph.LowerOptions{Pool: s.Pool})
}

func (s *Stage) lossOf(n Net) (float64, error) {
	m, err := s.evaluator(n)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	return heldLoss(m, s.Held())
}

// heldLoss is the mean loss of batches, in nats a token.
func heldLoss(m *graph.Machine, batches iter.Seq2[data.Batch, error]) (float64, error) {
	sum, n := 0.0, 0
	for b, err := range batches {
		if err == nil {
			err = b.Feed(m, 1)
		}
		if err == nil {
			err = m.RunAll()
		}
		if err != nil {
			return 0, fmt.Errorf("recovery: held-out text: %w", err)
		}
		for i, x := range m.Output("nll") {
			if b.Targets[i] >= 0 {
				sum, n = sum+float64(x), n+1
			}
		}
	}
	if n == 0 {
		return 0, errors.New("recovery: the held-out text has nothing to predict")
	}
	return sum / float64(n), nil
}

package coupled

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// ErrEvidence is returned when evidence does not fit the model, or a criterion
// asks for evidence that was not gathered.
var ErrEvidence = errors.New("coupled: evidence")

// Options says what an Evidence gathers beside the gates' own statistics.
// The zero value gathers only those: three numbers a unit.
type Options struct {
	// Interactions also gathers sum_n r_n r_n^T within each list of the groups of
	// these kinds: Units^2 float64 a list. Default none.
	Interactions []Kind
	// Squares gathers squares of weight gradients, for fisher-diag: one more slab
	// parallel to the weights.
	Squares bool
	// Activations gathers the second moment of every column of the activations
	// at which the units meet, for the criterion activation.
	Activations bool
	// Basis gathers the second-moment matrices within each head: of contexts for
	// VO and, where there is no RoPE, of queries and keys for QK.
	Basis bool
	// Compensation gathers the second-moment matrix of a whole layer's contexts
	// and of its hidden channels: (G*R*D)^2 + F^2 float32 a layer.
	Compensation bool
	// Gains gathers, under RoPE, the features of attention scores of every query
	// head: (2*pairs)^2 float32 a head.
	Gains bool
	// WholeLayers gathers the gate of every whole layer too, for kind layer: graphs are then
	// built with graph.BuildOptions.LayerGates.
	WholeLayers bool
	// Kinds names kinds of evidence that were registered (RegisterEvidence).
	Kinds []string
	// Layers are those that evidence is gathered of; nil for all. Evidence of some layers
	// is used where it is gathered: it is not saved.
	Layers []int
	// Tokens is how many rows of activations there will be at most, where that is known: with
	// Layers, Compensation keeps them as they are where they are few (KeepsRows). Default 0,
	// not known.
	Tokens int
	// Scale multiplies q.k before the softmax: 1/sqrt of the original head width.
	// Needed for Gains.
	Scale float64
	// Queries is the number of query positions of a sequence whose scores Gains
	// looks at, evenly spread; 0 is 32.
	Queries int
	// Product computes c[n,n] += x^T x for x of `rows` rows of n columns, `stride`
	// elements apart. nil is plain Go; a caller with a fast kernel gives that.
	Product func(c []float32, n int, x []float32, rows, stride int)
	// Pool makes large refits fast; nil is one worker and float64.
	Pool *kernel.Pool
}

// of reports whether a layer is among Layers.
func (o Options) of(layer int) bool { return o.Layers == nil || slices.Contains(o.Layers, layer) }

// Evidence is what training steps or a calibration pass showed about the units
// of one model. Its size depends only on the model, never on the number of
// sequences. It is not safe for concurrent use.
type Evidence struct {
	// Squares is sum_n g_w^2 of every weight over the sequences given to
	// AddGradients, parallel to the weights; nil unless Options.Squares. It shrinks
	// with the weights: hand Slabs to param.Set.Shrink.
	Squares *param.Slab

	// Sees says which tokens the attention of a layer reads: with both also those after a
	// token, and window as kernel.AttnShape has it. nil is all up to the token itself. Gains
	// need it; it is not saved.
	Sees func(layer int) (both bool, window int)

	options   Options
	gates     map[string]*gateStat // by dimension
	heads     map[string]string    // "layer.N.vo" -> "layer.N.kv"
	sites     map[int]*site        // by layer
	layerN    int                  // layers of the model
	more      []*Statistic         // of Options.Kinds
	refits    map[string][]int     // removal orders of feed-forward channels, by dimension (OrderByRefit)
	gradients float64              // weight of the sequences in Squares
	err       error                // of a kind that is not registered
}

// NewEvidence makes empty evidence for the set's present shapes.
func NewEvidence(set *param.Set, o Options) *Evidence {
	e := &Evidence{options: o, gates: map[string]*gateStat{}, heads: map[string]string{}, sites: map[int]*site{}, layerN: len(set.LayerOrigin())}
	for _, g := range o.groups(set) {
		if !o.of(g.Layer) {
			continue
		}
		e.gates[g.Dim] = newGateStat(g, hasKind(o.Interactions, g.Kind))
		if g.Kind == VO {
			e.heads[g.Dim] = g.Per
		}
	}
	if o.Squares {
		e.Squares = set.NewSlab()
	}
	e.addSites(set)
	e.more, e.err = o.statistics(set)
	return e
}

// groups are those whose gates are gathered.
func (o Options) groups(set *param.Set) []Group {
	if !o.WholeLayers {
		return Groups(set)
	}
	return groupsOf(set, Kinds())
}

// WholeLayers is Options.WholeLayers.
func (e *Evidence) WholeLayers() bool { return e.options.WholeLayers }

// Close releases the slabs.
func (e *Evidence) Close() {
	if e.Squares != nil {
		e.Squares.Close()
	}
}

// Slabs are the slabs of the evidence that are parallel to the weights, to be
// shrunk together with them.
func (e *Evidence) Slabs() []*param.Slab {
	if e.Squares == nil {
		return nil
	}
	return []*param.Slab{e.Squares}
}

// Gates lists the dimensions whose gates Add expects, sorted.
// Heads are not among them: their gates follow from those of vo.
func (e *Evidence) Gates() []string {
	var dims []string
	for dim := range e.gates {
		if e.gates[dim].kind != Head {
			dims = append(dims, dim)
		}
	}
	sort.Strings(dims)
	return dims
}

// Add takes the gate gradients of B sequences: r is [B, lists*units], the graph
// output "gate:"+dim, and scale makes them dL_n/dz of each sequence's own mean
// loss (for a loss that is the mean over B equally long sequences, scale is B).
// Nothing is added when it returns an error; a value that is not finite is one.
func (e *Evidence) Add(dim string, r []float32, scale float32) error {
	if e.err != nil {
		return e.err
	}
	s := e.gates[dim]
	if s == nil || s.kind == Head {
		return fmt.Errorf("%w: no gate at dimension %q", ErrEvidence, dim)
	}
	n := s.lists * s.units
	if len(r) == 0 || len(r)%n != 0 {
		return fmt.Errorf("%w: gate %q has %d values, expected a multiple of %d (%d lists of %d units)", ErrEvidence, dim, len(r), n, s.lists, s.units)
	}
	for i, x := range r {
		if y := float64(x) * float64(scale); math.IsNaN(y) || math.IsInf(y, 0) {
			return fmt.Errorf("%w: gate %q, sequence %d, unit %d is %g", ErrEvidence, dim, i/n, i%n, y)
		}
	}
	head := e.gates[e.heads[dim]]
	for at := 0; at < len(r); at += n {
		s.add(r[at:at+n], float64(scale))
		var sums []float32
		if head != nil {
			sums = head.sums(r[at : at+n])
			head.add(sums, float64(scale))
		}
		for _, m := range e.more {
			if m.Gates == nil || s.kind == Layer {
				continue
			}
			m.Gates(dim, scaled(r[at:at+n], float64(scale)))
			if head != nil {
				m.Gates(e.heads[dim], scaled(sums, float64(scale)))
			}
		}
	}
	return nil
}

func scaled(r []float32, scale float64) []float64 {
	out := make([]float64, len(r))
	for i, x := range r {
		out[i] = float64(x) * scale
	}
	return out
}

// AddGradients takes the weight gradients of one sequence, parallel to the
// weights; scale makes them the gradients of its own mean loss. Given the mean
// gradient of several sequences instead, the squares are those of such means:
// cheaper, and smaller by cancellation.
func (e *Evidence) AddGradients(grads *param.Slab, scale float32) error {
	if !e.options.PerSequence() {
		return fmt.Errorf("%w: gradients were given, but no option asks for them", ErrEvidence)
	}
	for _, m := range e.more {
		if m.Gradients != nil {
			m.Gradients(grads.Data, scale)
		}
	}
	if e.Squares == nil {
		return nil
	}
	if len(grads.Data) != len(e.Squares.Data) {
		return fmt.Errorf("%w: %d gradients, expected %d", ErrEvidence, len(grads.Data), len(e.Squares.Data))
	}
	for i, g := range grads.Data {
		g *= scale
		e.Squares.Data[i] += g * g
	}
	e.gradients++
	return nil
}

// Decay multiplies the weight of everything seen so far by factor (0 to 1), so
// that evidence follows weights that move: called once a step with
// DecayFactor(h), what was seen h steps ago counts half.
func (e *Evidence) Decay(factor float64) {
	if factor == 1 {
		return
	}
	for _, s := range e.gates {
		s.decay(factor)
	}
	for _, s := range e.sites {
		s.decay(factor)
	}
	for _, m := range e.more {
		_ = m.Visit(func(f64 []float64, f32 []float32) error { // scaling cannot fail
			for i := range f64 {
				f64[i] *= factor
			}
			for i := range f32 {
				f32[i] *= float32(factor)
			}
			return nil
		})
	}
	e.gradients *= factor
	if e.Squares != nil {
		for i := range e.Squares.Data {
			e.Squares.Data[i] *= float32(factor)
		}
	}
}

// DecayFactor is 2^(-1/halfLife), the factor of one step; 1 (no decay) for a
// half-life of 0 steps.
func DecayFactor(halfLife float64) float64 {
	if halfLife <= 0 {
		return 1
	}
	return math.Exp2(-1 / halfLife)
}

// Sequences is the weight of the sequences whose gates were seen at the
// dimension: their number, where nothing decayed.
func (e *Evidence) Sequences(dim string) float64 {
	if s := e.gates[dim]; s != nil {
		return s.weight
	}
	return 0
}

// Shrink keeps the evidence parallel to the model after a cut: what was seen of
// the units that stay is kept. Squares shrinks with the weights (see Slabs).
// Nothing is changed when it returns an error.
func (e *Evidence) Shrink(cut param.Cut) error {
	whole := map[string]bool{}
	for l := range e.layerN {
		whole[param.WholeLayer(l)] = true
	}
	for dim, keep := range cut {
		s := e.gates[dim]
		if whole[dim] {
			continue
		}
		if s == nil {
			return fmt.Errorf("%w: no units at dimension %q", ErrEvidence, dim)
		}
		if err := s.check(dim, keep, cut); err != nil {
			return err
		}
	}
	e.refits = nil // of the model before
	for _, m := range e.more {
		m.Shrink(cut)
	}
	for _, s := range e.sites {
		s.shrink(cut)
	}
	for dim, s := range e.gates {
		s.shrink(dim, cut)
	}
	e.dropLayers(cut)
	return nil
}

// dropLayers forgets what was seen of layers that a cut removes; the others get their new
// numbers.
func (e *Evidence) dropLayers(cut param.Cut) {
	left := cut.Left(e.layerN)
	if len(left) == e.layerN {
		return
	}
	e.layerN = len(left)
	gates, heads, sites := map[string]*gateStat{}, map[string]string{}, map[int]*site{}
	for to, from := range left {
		for dim, s := range e.gates {
			if s.layer != from || s.moved {
				continue
			}
			name := param.RenameLayer(dim, from, to)
			if per, ok := e.heads[dim]; ok {
				heads[name] = param.RenameLayer(per, from, to)
			}
			s.per, s.layer, s.moved = param.RenameLayer(s.per, from, to), to, true
			gates[name] = s
		}
		if s := e.sites[from]; s != nil {
			for k, dim := range s.dims {
				s.dims[k] = param.RenameLayer(dim, from, to)
			}
			sites[to] = s
		}
	}
	for _, s := range gates {
		s.moved = false
	}
	e.gates, e.heads, e.sites = gates, heads, sites
}

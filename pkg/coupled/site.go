package coupled

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/ecospa/ecospa/pkg/param"
)

// Site is an activation that a calibration pass has to deliver to Observe.
type Site struct {
	// Name says which. Rows are tokens, sequence after sequence.
	//
	//	layer.N.qkv     q (G*R*D, head-major g, r) | k (G*D) | v, rotated where there is RoPE, biases included
	//	layer.N.ctx     contexts, the input of the output projection: G*R*D, head-major g, r
	//	layer.N.hidden  hidden channels, the input of the last feed-forward matrix: F
	Name string
	Cols int // columns of a row

	layer int
	what  string
}

// site is what is gathered about one layer's activations.
type site struct {
	heads, group   int // G, R
	qk, pair, vo   int // units of a head; columns of a qk unit
	rope           bool
	q, k, ctx, ffn *moment // nil where nobody asked
	dims           map[Kind]string
	scores         *scoreStat // features of attention scores; nil where nobody asked
}

// newSite makes the statistics that the options ask for in a layer.
func newSite(set *param.Set, layer int, o Options) *site {
	dim := func(k param.Kind) param.Dim { return set.LayerDim(layer, k) }
	qk, ffn := dim(param.QK), dim(param.FFN).Size
	s := &site{heads: dim(param.KV).Size, group: 1, pair: 1, qk: qk.Size, vo: dim(param.VO).Size, rope: qk.Track, dims: map[Kind]string{}}
	for _, k := range []param.Kind{param.QK, param.VO, param.FFN, param.KV} {
		s.dims[kindOf(k)] = dim(k).Name
	}
	for _, g := range Groups(set) {
		if g.Layer != layer {
			continue
		}
		for _, p := range g.params {
			if at := dimAt(p, g.Dim); g.Kind == QK && p.Role == param.K && len(p.Dims) == at+3 {
				s.pair = p.Dims[at+1].Size
			}
			if g.Kind == VO && g.Side(p) == param.SideB {
				s.group = p.Dims[dimAt(p, g.Dim)-1].Size
			}
		}
	}
	d, h := s.qk*s.pair, s.heads*s.group
	basis := o.Basis && !s.rope
	if (o.Activations || basis) && d > 0 {
		s.q = newMoment(h*d, when(basis, h))
	}
	if basis && d > 0 {
		s.k = newMoment(s.heads*d, s.heads)
	}
	if blocks := max(when(o.Basis, h), when(o.Compensation, 1)); (blocks > 0 || o.Activations) && s.vo > 0 {
		if o.Compensation {
			blocks = 1 // the whole matrix holds those of the heads
		}
		s.ctx = o.moment(h*s.vo, blocks)
	}
	if (o.Activations || o.Compensation) && ffn > 0 {
		s.ffn = o.moment(ffn, when(o.Compensation, 1))
	}
	if o.Gains && s.rope && d > 0 {
		s.scores = newScoreStat(h, s.qk)
	}
	return s
}

// moment makes one that refits read, of so many Gram blocks or with rows.
func (o Options) moment(cols, blocks int) *moment {
	if o.Compensation && !o.Basis && o.Layers != nil && KeepsRows(cols, o.Tokens) {
		return newRows(cols, o.Tokens)
	}
	return newMoment(cols, blocks)
}

func when(b bool, n int) int {
	if b {
		return n
	}
	return 0
}

func (e *Evidence) addSites(set *param.Set) {
	for _, g := range Groups(set) {
		if e.sites[g.Layer] == nil && e.options.of(g.Layer) {
			e.sites[g.Layer] = newSite(set, g.Layer, e.options)
		}
	}
}

// Sites lists the activations that Observe expects, by layer; empty when the
// options ask for none.
func (e *Evidence) Sites() []Site {
	var out []Site
	add := func(layer int, what string, cols int) {
		out = append(out, Site{Name: param.InLayer(layer, what), Cols: cols, layer: layer, what: what})
	}
	for _, n := range e.layers() {
		s := e.sites[n]
		if s.q != nil || s.k != nil || s.scores != nil {
			add(n, "qkv", (s.heads*s.group+s.heads)*s.qk*s.pair+s.heads*s.vo)
		}
		if s.ctx != nil {
			add(n, "ctx", len(s.ctx.sum))
		}
		if s.ffn != nil {
			add(n, "hidden", len(s.ffn.sum))
		}
	}
	for _, m := range e.more {
		for _, s := range m.Sites {
			if !slices.ContainsFunc(out, func(o Site) bool { return o.Name == s.Name }) {
				out = append(out, s)
			}
		}
	}
	return out
}

func (e *Evidence) layers() []int {
	var l []int
	for n := range e.sites {
		l = append(l, n)
	}
	sort.Ints(l)
	return l
}

// Observe takes one site's activations of B sequences of T tokens: x is
// [B*T, cols]. Nothing is added when it returns an error; a value that is not finite is one.
func (e *Evidence) Observe(name string, x []float32, b, t int) error {
	return e.ObserveDocuments(name, x, b, t, nil)
}

// ObserveDocuments is Observe of sequences that are packed of documents: starts [B*T] is where
// each token's document begins in its sequence. Rows of padding, which is at the end of a
// sequence and starts at T, do not count, and no attention between documents does. nil is one
// document a sequence.
func (e *Evidence) ObserveDocuments(name string, x []float32, b, t int, starts []int32) error {
	var at Site
	for _, s := range e.Sites() {
		if s.Name == name {
			at = s
		}
	}
	if at.Cols == 0 {
		return fmt.Errorf("%w: no activation is expected at %q", ErrEvidence, name)
	}
	if b < 1 || t < 1 || len(x) != b*t*at.Cols || starts != nil && len(starts) != b*t {
		return fmt.Errorf("%w: activation %q has %d values, expected %d sequences of %d tokens of %d", ErrEvidence, name, len(x), b, t, at.Cols)
	}
	for i, v := range x {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%w: activation %q, row %d, column %d is %g", ErrEvidence, name, i/at.Cols, i%at.Cols, f)
		}
	}
	if starts == nil {
		e.observe(at, x, shown{b: b, t: t, rows: b * t})
		return nil
	}
	for i := range b {
		s := shown{b: 1, t: t, starts: starts[i*t : (i+1)*t]}
		for s.rows < t && int(s.starts[s.rows]) < t {
			s.rows++
		}
		if s.rows > 0 {
			e.observe(at, x[i*t*at.Cols:][:s.rows*at.Cols], s)
		}
	}
	return nil
}

// shown is what rows of activations are: of b whole sequences of t tokens, or the first rows
// of one that is packed of documents, which begin at starts.
type shown struct {
	b, t, rows int
	starts     []int32
}

// observe adds rows that have been checked.
func (e *Evidence) observe(at Site, x []float32, of shown) {
	product := e.options.Product
	if product == nil {
		product = addProduct
	}
	rows := of.rows
	for _, m := range e.more {
		if slices.ContainsFunc(m.Sites, func(o Site) bool { return o.Name == at.Name }) {
			m.Activations(at.Name, x, rows, at.Cols)
		}
	}
	s := e.sites[at.layer]
	switch at.what { // "" where only a registered kind asked
	case "qkv":
		queries := s.heads * s.group * s.qk * s.pair
		if s.q != nil {
			s.q.add(x, rows, at.Cols, product)
		}
		if s.k != nil {
			s.k.add(x[queries:], rows, at.Cols, product)
		}
		if s.scores != nil {
			each := rows / of.b
			how := scoring{at: s, options: e.options, product: product, starts: of.starts}
			if e.Sees != nil {
				how.both, how.window = e.Sees(at.layer)
			}
			for i := range of.b {
				s.scores.add(x[i*each*at.Cols:(i+1)*each*at.Cols], each, at.Cols, how)
			}
		}
	case "ctx":
		s.ctx.add(x, rows, at.Cols, product)
	case "hidden":
		s.ffn.add(x, rows, at.Cols, product)
	}
}

// UseScores makes e have what another evidence of the same model saw of attention scores
// (Options.Gains) beside what it saw itself.
func (e *Evidence) UseScores(of *Evidence) {
	for n, s := range e.sites {
		if from := of.sites[n]; from != nil && from.scores != nil {
			s.scores = from.scores
		}
	}
}

// moments are those that are gathered, in a fixed order.
func (s *site) moments() []*moment {
	var out []*moment
	for _, m := range []*moment{s.q, s.k, s.ctx, s.ffn} {
		if m != nil {
			out = append(out, m)
		}
	}
	return out
}

func (s *site) decay(f float64) {
	for _, m := range s.moments() {
		m.decay(f)
	}
	if s.scores != nil {
		s.scores.decay(f)
	}
}

// shrink keeps what a checked cut leaves of the layer.
func (s *site) shrink(cut param.Cut) {
	heads := upTo(s.heads)
	if keep, ok := cut[s.dims[Head]]; ok {
		heads = keep[0]
	}
	units := func(kind Kind, head, all int) []int {
		if keep, ok := cut[s.dims[kind]]; ok {
			return keep[min(head, len(keep)-1)] // one list serves all heads where a norm ties them
		}
		return upTo(all)
	}
	// columns of the kept units, of `group` query heads each, pair columns a unit
	columns := func(kind Kind, all, group, pair int) []int {
		var out []int
		for _, g := range heads {
			for r := range group {
				for _, u := range units(kind, g, all) {
					for j := range pair {
						out = append(out, ((g*group+r)*all+u)*pair+j)
					}
				}
			}
		}
		return out
	}
	if s.scores != nil {
		s.scores.shrink(heads, s.group, func(head int) []int { return units(QK, head, s.qk) })
	}
	if s.q != nil {
		s.q.keep(columns(QK, s.qk, s.group, s.pair))
	}
	if s.k != nil {
		s.k.keep(columns(QK, s.qk, 1, s.pair))
	}
	if s.ctx != nil {
		s.ctx.keep(columns(VO, s.vo, s.group, 1))
	}
	if keep, ok := cut[s.dims[FFN]]; ok && s.ffn != nil {
		s.ffn.keep(keep[0])
	}
	if len(heads) > 0 {
		s.qk, s.vo = len(units(QK, heads[0], s.qk)), len(units(VO, heads[0], s.vo))
	}
	s.heads = len(heads)
}

package coupled

// Layouts a plan may be held to, so that the result fits a file format or a
// runtime. In all of them the heads of a layer keep equally many units. Where
// heads are one width, v stays as wide as q and k if it is so before and both
// kinds may go.
const (
	LayoutPerHead  = "per-head"  // every K/V head keeps units of its own
	LayoutPerLayer = "per-layer" // under RoPE the heads of a layer keep the same rotation pairs
	LayoutHeads    = "one-head"  // under RoPE the heads of all layers keep the same rotation pairs and are one width; otherwise layers may differ
	LayoutUniform  = "uniform"   // all layers have the same widths; under RoPE that of one-head, too
)

// Layouts lists the layouts.
func Layouts() []string { return []string{LayoutPerHead, LayoutPerLayer, LayoutHeads, LayoutUniform} }

// oneHead reports whether the layout holds a kind to one width in all layers
// because all heads are alike.
func (c Config) oneHead(k Kind) bool {
	return k != Layer && (c.Layout == LayoutUniform || c.Layout == LayoutHeads && (k == QK || k == VO))
}

// square reports whether all value heads are as wide as the query and key heads,
// two columns a rotation pair, so that a layout can keep them so.
func square(groups []Group) bool {
	qk, vo := 0, 0
	for _, g := range groups {
		switch {
		case g.Kind == QK && (qk == 0 || g.Units == qk):
			qk = g.Units
		case g.Kind == VO && (vo == 0 || g.Units == vo):
			vo = g.Units
		case g.Kind == QK || g.Kind == VO:
			return false
		}
	}
	return qk > 0 && vo == 2*qk
}

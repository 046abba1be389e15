package coupled

// Layouts a plan may be held to, so that the result fits a file format or a
// runtime. In all of them the heads of a layer keep equally many units.
const (
	LayoutPerHead  = "per-head"  // every K/V head keeps units of its own
	LayoutPerLayer = "per-layer" // under RoPE the heads of a layer keep the same rotation pairs
	LayoutUniform  = "uniform"   // all layers have the same widths and, under RoPE, the same rotation pairs everywhere
)

// Layouts lists the layouts.
func Layouts() []string { return []string{LayoutPerHead, LayoutPerLayer, LayoutUniform} }

package data

// Batch is N sequences of tokens, or N images, with what is to be predicted.
type Batch struct {
	N       int
	IDs     []int32   // text: token ids [N·T]
	Pixels  []float32 // images: normalised values [N·C·H·W], channel by channel
	Targets []int32   // text: the next tokens [N·T]; images: classes [N]. Negative: not predicted
}

// Slice is sequences lo..hi; it shares memory.
func (b Batch) Slice(lo, hi int) Batch {
	return Batch{hi - lo, part(b.IDs, b.N, lo, hi), part(b.Pixels, b.N, lo, hi), part(b.Targets, b.N, lo, hi)}
}

// part is sequences lo..hi of n that lie in x one after the other.
func part[T any](x []T, n, lo, hi int) []T {
	if n == 0 {
		return nil
	}
	each := len(x) / n
	return x[lo*each : hi*each]
}

// Predicted is the number of targets that count.
func (b Batch) Predicted() int {
	n := 0
	for _, t := range b.Targets {
		if t >= 0 {
			n++
		}
	}
	return n
}

// Inputs takes the values of a graph's inputs; a graph.Machine is one.
type Inputs interface {
	SetInts(name string, x []int32) error
	SetFloats(name string, x ...float32) error
}

// Feed gives a model's loss graph the batch: "ids" or "pixels", and "targets".
// scale multiplies the summed loss.
func (b Batch) Feed(to Inputs, scale float32) error {
	if err := b.FeedInputs(to); err != nil {
		return err
	}
	if err := to.SetInts("targets", b.Targets); err != nil {
		return err
	}
	return to.SetFloats("scale", scale)
}

// FeedInputs is Feed for a graph without a loss.
func (b Batch) FeedInputs(to Inputs) error {
	if b.Pixels != nil {
		return to.SetFloats("pixels", b.Pixels...)
	}
	return to.SetInts("ids", b.IDs)
}

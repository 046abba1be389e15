package data

import "errors"

// Batch is N sequences of tokens, or N images, with what is to be predicted.
type Batch struct {
	N       int
	IDs     []int32   // text: token ids [N·T]
	Pixels  []float32 // images: normalised values [N·C·H·W], channel by channel
	Targets []int32   // text: the next tokens [N·T]; images: classes [N]; with Vectors [N]. Negative: not predicted
	Vectors []float32 // of texts whose vectors are learned or measured: what they are to be [N·E]

	// Sequences that are packed of documents have, for each token [N·T], the index in its
	// sequence where its document begins (of padding the length of the sequence) and the
	// position in its document. nil: every sequence is one document.
	Starts, Positions []int32
	// Pairs and Reference are of pairs of answers [N·T], whose sequences lie two and two: see
	// kernel.PreferenceRows. Of a token that belongs to no answer Pairs is -1.
	Pairs     []int32
	Reference []float32
	// Whole is the number of targets of all sequences that count, where Batches.Deal filled
	// only some of them; 0 elsewhere.
	Whole int
	// Documents are numbers of documents [N·T], for evaluations; nil elsewhere.
	Documents []int32
}

// Slice is sequences lo..hi; it shares memory.
func (b Batch) Slice(lo, hi int) Batch {
	return Batch{
		N: hi - lo, IDs: part(b.IDs, b.N, lo, hi), Pixels: part(b.Pixels, b.N, lo, hi), Targets: part(b.Targets, b.N, lo, hi), Vectors: part(b.Vectors, b.N, lo, hi),
		Starts: part(b.Starts, b.N, lo, hi), Positions: part(b.Positions, b.N, lo, hi), Documents: part(b.Documents, b.N, lo, hi),
		Pairs: part(b.Pairs, b.N, lo, hi), Reference: part(b.Reference, b.N, lo, hi),
	}
}

// part is sequences lo..hi of n that lie in x one after the other.
func part[T any](x []T, n, lo, hi int) []T {
	if n == 0 || x == nil {
		return nil
	}
	each := len(x) / n
	return x[lo*each : hi*each]
}

// Head is the first tokens of every sequence of `context`. Only texts that predict tokens
// can be shortened: ok is false for others, and where one of the heads predicts nothing.
func (b Batch) Head(context, tokens int) (h Batch, ok bool) {
	if b.Pixels != nil || b.Vectors != nil || len(b.Targets) != b.N*context || tokens > context {
		return b, false
	}
	h = Batch{
		N: b.N, IDs: heads(b.IDs, context, tokens), Targets: heads(b.Targets, context, tokens),
		Starts: heads(b.Starts, context, tokens), Positions: heads(b.Positions, context, tokens), Documents: heads(b.Documents, context, tokens),
	}
	for i, s := range h.Starts {
		h.Starts[i] = min(s, int32(tokens)) // padding
	}
	for i := range h.N {
		if h.Slice(i, i+1).Predicted() == 0 {
			return b, false
		}
	}
	return h, true
}

// heads is a copy of the first tokens of each context of x.
func heads(x []int32, context, tokens int) (out []int32) {
	for at := 0; at < len(x); at += context {
		out = append(out, x[at:at+tokens]...)
	}
	return out
}

// Packed reports whether sequences hold several documents: the graph that reads them must
// be built for it (graph.BuildOptions).
func (b Batch) Packed() bool { return b.Starts != nil }

// Predicted is the number of targets that count.
func (b Batch) Predicted() int {
	if b.Whole > 0 {
		return b.Whole
	}
	n := 0
	for _, t := range b.Targets {
		if t >= 0 {
			n++
		}
	}
	return n
}

// Count is what the loss is a mean over: pairs of answers where there are any, else the
// targets that count.
func (b Batch) Count() int {
	if b.Pairs == nil {
		return b.Predicted()
	}
	pairs, each := 0, len(b.Pairs)/b.N
	for lo := 0; lo < len(b.Pairs); lo += 2 * each {
		last := int32(-1)
		for _, column := range b.Pairs[lo:][:each] {
			if column >= 0 && column != last {
				pairs, last = pairs+1, column
			}
		}
	}
	return pairs
}

// Inputs takes the values of a graph's inputs; a graph.Machine is one.
type Inputs interface {
	SetInts(name string, x []int32) error
	SetFloats(name string, x ...float32) error
	Has(name string) bool // whether the graph reads an input of this name
}

// Feed gives a model's loss graph the batch: "ids" or "pixels", and what FeedTargets gives;
// for packed sequences "starts" and "pos". scale multiplies the summed loss.
func (b Batch) Feed(to Inputs, scale float32) error {
	if err := b.FeedInputs(to); err != nil {
		return err
	}
	return b.FeedTargets(to, scale)
}

// FeedTargets gives a loss graph what it compares with: "targets", "scale", "vectors" where
// there are any, and "pairs" and "reference" where it judges pairs of answers.
func (b Batch) FeedTargets(to Inputs, scale float32) error {
	if b.Vectors != nil {
		if err := to.SetFloats("vectors", b.Vectors...); err != nil {
			return err
		}
	}
	if b.Pairs != nil && to.Has("pairs") {
		if err := to.SetInts("pairs", b.Pairs); err != nil {
			return err
		}
		if err := to.SetFloats("reference", b.Reference...); err != nil {
			return err
		}
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
	if err := b.FeedDocuments(to); err != nil {
		return err
	}
	return to.SetInts("ids", b.IDs)
}

// FeedDocuments gives a graph that was built for documents where they begin, and
// positions where it reads them.
func (b Batch) FeedDocuments(to Inputs) error {
	if !b.Packed() {
		if to.Has("starts") {
			return errors.New("data: the graph was built for packed documents, and the batch has none")
		}
		return nil
	}
	if err := to.SetInts("starts", b.Starts); err != nil {
		return err
	}
	if !to.Has("pos") {
		return nil
	}
	return to.SetInts("pos", b.Positions)
}

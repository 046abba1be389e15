package workload

import (
	"fmt"
	"slices"
	"sort"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
)

// Vocabulary says which ids a model keeps; the zero value is all of them.
type Vocabulary struct {
	Size int    // most ids: those that the text uses most; 0 is all that it uses
	Path string // text whose tokens are counted; "" is the training part of the data
}

// Asked reports whether anything is to be cut.
func (v Vocabulary) Asked() bool { return v != Vocabulary{} }

// OpenSmaller is Open with the vocabulary of a bundle cut before, where that is asked
// for. What was cut is nil where it is not. Sequences for measuring have o.Context
// tokens, or as many as the model has, at most 512, when it is 0; on.Model becomes the
// smaller model.
func (v Vocabulary) OpenSmaller(b *bundle.Bundle, s Source, on *prune.Subject, o EvalOptions) (Workload, *prune.Vocabulary, error) {
	if !v.Asked() {
		w, err := Open(b, s)
		return w, nil, err
	}
	least, err := b.VocabularyRows(nil)
	if err != nil {
		return nil, nil, err
	}
	if have := b.Model.Vocab(); v.Size != 0 && (v.Size < least || v.Size > have) {
		return nil, nil, fault.Usage(fmt.Errorf("--vocab is %d, expected %d (what the tokenizer needs to encode any text) to %d (what the model has)", v.Size, least, have))
	}
	same, err := readSame(b, s, o.Limit)
	if err != nil {
		return nil, nil, err
	}
	cut := &prune.Vocabulary{IDsBefore: b.Model.Vocab(), Shapes: b.Set.Like()}
	t, before, err := same.open(b)
	if err != nil {
		return nil, nil, err
	}
	cut.PerByteBefore = before
	was, err := heldVectors(t, b)
	if err != nil {
		return nil, nil, err
	}
	if o.Context, err = t.Context(b.Model, o.Context, 512); err != nil {
		return nil, nil, err
	}
	if cut.Kept, err = v.choose(b, s, t); err != nil {
		return nil, nil, err
	}
	whole := prune.Job{
		Calibration: prune.Calibration{Model: on.Model, Set: on.Set, Data: prune.Sequences{Context: o.Context}},
		Measure:     func() (prune.Evaluation, error) { return t.Evaluate(*on, o) },
	}
	if cut.Before, err = whole.Side(); err != nil {
		return nil, nil, err
	}
	if _, err := b.KeepVocabulary(cut.Kept); err != nil {
		return nil, nil, err
	}
	on.Model, cut.IDs = b.Model, b.Model.Vocab()
	w, after, err := same.open(b)
	if err != nil {
		return nil, nil, err
	}
	cut.PerByte = after
	now, err := heldVectors(w, b)
	cut.Distance = distance(was, now)
	return w, cut, err
}

// cutShapes cuts a set without storage to as many rows of the vocabulary as are to stay, where
// that is known before a text is read.
func (v Vocabulary) cutShapes(set *param.Set) error {
	if v.Size < 1 || v.Size >= set.Dim("vocab").Size {
		return nil
	}
	rows := make([]int, v.Size)
	for i := range rows {
		rows[i] = i
	}
	return set.Shrink(param.Cut{"vocab": param.Keep{rows}})
}

// heldVectors are those of the held-out texts, of an encoder without a head; nil of others.
func heldVectors(w Workload, b *bundle.Bundle) ([][]float32, error) {
	v, ok := w.(*Vectors)
	if !ok {
		return nil, nil
	}
	context, err := v.Context(b.Model, 0, 512)
	if err != nil {
		return nil, err
	}
	all, err := v.whole(min(8, v.validation.Len()), context, 0)
	var out [][]float32
	for width := b.Model.Arch().Hidden; len(all) > 0; all = all[width:] {
		out = append(out, all[:width])
	}
	return out, err
}

// distance is the mean of 1 - cosine of vectors of length 1; 0 without any.
func distance(a, b [][]float32) float64 {
	sum := 0.0
	for i := range a {
		cosine := 0.0
		for k, x := range a[i] {
			cosine += float64(x) * float64(b[i][k])
		}
		sum += 1 - cosine
	}
	return sum / float64(max(1, len(a)))
}

// choose is the ids that stay.
func (v Vocabulary) choose(b *bundle.Bundle, s Source, w Workload) ([]int32, error) {
	var text data.Encoded
	if t, ok := w.(*Text); ok && v.Path == "" {
		text = t.training
	} else {
		path, held := v.Path, 0.0
		if path == "" {
			path, held = s.Path, s.Held
		}
		part, err := readPart(b, Source{Path: path, Options: s.Options})
		if held > 0 {
			part, _ = part.Split(held)
		}
		if err == nil {
			text, err = data.Encode(b.Tokenizer, part)
		}
		if err == nil {
			err = text.Below(b.Model.Vocab())
		}
		if err != nil {
			return nil, fault.BadInput(fmt.Errorf("%s: %w", path, err))
		}
	}
	order, used, err := byUse(b, text)
	if err != nil {
		return nil, fault.BadInput(err)
	}
	if v.Size == 0 {
		return order[:used], nil
	}
	// More ids never leave fewer rows: the most of them that fit are searched for.
	n := sort.Search(len(order), func(n int) bool {
		if err != nil {
			return true
		}
		var rows int
		rows, err = b.VocabularyRows(order[:n+1])
		return rows > v.Size
	})
	return order[:n], err
}

// byUse is every id with a token: the ones that a text uses, the most used first, then
// the others, which come by their numbers, as a tokenizer's training found them.
func byUse(b *bundle.Bundle, text data.Encoded) (order []int32, used int, err error) {
	count := make([]int, b.Model.Vocab())
	const chunk = 1 << 16
	for at := 0; at < text.Len(); at += chunk {
		ids, err := data.IDs(text, at, min(at+chunk, text.Len()))
		if err != nil {
			return nil, 0, err
		}
		for _, id := range ids {
			count[id]++
		}
	}
	for id := range int32(len(count)) {
		if _, err := b.Tokenizer.Piece(id); err != nil {
			continue
		}
		if order = append(order, id); count[id] > 0 {
			used++
		}
	}
	slices.SortStableFunc(order, func(x, y int32) int { return count[y] - count[x] })
	return order, used, nil
}

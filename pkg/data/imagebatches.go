package data

import (
	"fmt"
	"iter"
	"math/rand/v2"
)

// Normalise is what happens to pixel values v before a model sees them: (v·Rescale -
// Mean)/Std, channel by channel.
type Normalise struct {
	Rescale   float64
	Mean, Std []float64
}

func (n Normalise) apply(x []float32) {
	area := len(x) / len(n.Mean)
	for c := range n.Mean {
		scale, shift := float32(n.Rescale/n.Std[c]), float32(-n.Mean[c]/n.Std[c])
		for i, v := range x[c*area:][:area] {
			x[c*area+i] = v*scale + shift
		}
	}
}

// Augment changes training images at random.
type Augment struct {
	Shift int  // pixels at most that an image moves, in each direction; what comes in is 0
	Flip  bool // left and right change places in half of the cases
}

// ImageBatches yields batches of images without end. Each pass takes every image
// once, in an order that the seed and the pass decide; how an image is changed is
// decided by the seed, the pass and its place in it.
type ImageBatches struct {
	images    *Images
	normalise Normalise
	augment   Augment
	batch     int
	at        Cursor
	order     []int
	b         Batch
	raw       []float32
}

// NewImageBatches yields batches of `batch` images from the cursor on.
func NewImageBatches(m *Images, n Normalise, a Augment, batch int, at Cursor) (*ImageBatches, error) {
	if m.Len() == 0 {
		return nil, badImages("no image to learn from")
	}
	b := &ImageBatches{
		images: m, normalise: n, augment: a, batch: batch, raw: make([]float32, m.Size()),
		b: Batch{N: batch, Pixels: make([]float32, batch*m.Size()), Targets: make([]int32, batch)},
	}
	return b, b.Seek(at)
}

// Seek goes to a position that Cursor returned.
func (b *ImageBatches) Seek(at Cursor) error {
	if at.Index < 0 || at.Index > b.images.Len() || at.Epoch < 0 {
		return fmt.Errorf("data: cursor at image %d of pass %d, which has %d", at.Index, at.Epoch, b.images.Len())
	}
	b.at = at
	b.order = rand.New(rand.NewPCG(at.Seed, uint64(at.Epoch))).Perm(b.images.Len())
	return nil
}

// Cursor is the position behind the newest batch.
func (b *ImageBatches) Cursor() Cursor { return b.at }

// Next is the next batch. It is overwritten by the next call.
func (b *ImageBatches) Next() (Batch, error) {
	size := b.images.Size()
	for i := range b.batch {
		if b.at.Index == len(b.order) {
			if err := b.Seek(Cursor{Seed: b.at.Seed, Epoch: b.at.Epoch + 1}); err != nil {
				return Batch{}, err
			}
		}
		class, err := b.images.Read(b.order[b.at.Index], b.raw)
		if err != nil {
			return Batch{}, err
		}
		x := b.b.Pixels[i*size:][:size]
		b.change(x)
		b.normalise.apply(x)
		b.b.Targets[i] = class
		b.at.Index++
	}
	return b.b, nil
}

// change writes the raw image, moved and flipped, to x.
func (b *ImageBatches) change(x []float32) {
	a := b.augment
	if a.Shift == 0 && !a.Flip {
		copy(x, b.raw)
		return
	}
	rng := rand.New(rand.NewPCG(b.at.Seed^0x617567, uint64(b.at.Epoch)<<32|uint64(b.at.Index)))
	dx, dy := rng.IntN(2*a.Shift+1)-a.Shift, rng.IntN(2*a.Shift+1)-a.Shift
	flip := a.Flip && rng.IntN(2) == 1
	s := b.images.Side
	for c := range b.images.Channels {
		for row := range s {
			for col := range s {
				r, k := row-dy, col-dx
				if flip {
					k = s - 1 - k
				}
				v := float32(0)
				if r >= 0 && r < s && k >= 0 && k < s {
					v = b.raw[(c*s+r)*s+k]
				}
				x[(c*s+row)*s+col] = v
			}
		}
	}
}

// Batches yields the images in order, batch at a time, at most limit of them (0 is
// all). What is left over at the end is filled up with ignored targets (-1). A batch
// is overwritten by the next one.
func (m *Images) Batches(n Normalise, batch, limit int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		end := m.Len()
		if limit > 0 {
			end = min(end, limit)
		}
		b := Batch{N: batch, Pixels: make([]float32, batch*m.Size()), Targets: make([]int32, batch)}
		for at := 0; at < end; at += batch {
			clear(b.Pixels)
			for i := range batch {
				b.Targets[i] = -1
				if at+i >= end {
					continue
				}
				x := b.Pixels[i*m.Size():][:m.Size()]
				var err error
				if b.Targets[i], err = m.Read(at+i, x); err != nil {
					yield(Batch{}, err)
					return
				}
				n.apply(x)
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// Sample is n images (or all) chosen by the seed.
func (m *Images) Sample(n Normalise, count int, seed uint64) (Batch, error) {
	count = min(count, m.Len())
	some, _ := m.Split(0, seed)
	some.which = some.which[:count]
	for b, err := range some.Batches(n, max(1, count), 0) {
		return b, err
	}
	return Batch{}, badImages("no image")
}

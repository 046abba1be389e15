package data

import (
	"fmt"
	"image"
	"math"

	"golang.org/x/image/draw"
)

// Geometry is how a picture of any size becomes what a model reads, as Hugging Face's
// preprocessor_config.json has it: resized, then cut. Sizes are in pixels.
type Geometry struct {
	Height, Width int // resized to this, whatever its proportions; 0: not so
	Shortest      int // or: the shorter side becomes this, the other in proportion; 0: not so
	Resample      int // how it is resized, Pillow's number: 2 bilinear, 3 bicubic; see Check
	// CropHeight and CropWidth are cut from the middle; where the picture is smaller there
	// is black around it. 0: nothing is cut.
	CropHeight, CropWidth int
}

// resamplings are Pillow's filters by their numbers. A filter is broadened when it
// shrinks a picture, as Pillow's are (https://pillow.readthedocs.io, "Filters").
var resamplings = map[int]draw.Scaler{
	0: draw.NearestNeighbor,
	1: &draw.Kernel{Support: 3, At: func(t float64) float64 { return sinc(t) * sinc(t/3) }}, // Lanczos
	2: draw.BiLinear,
	3: draw.CatmullRom,                                                                                              // Pillow's bicubic, a = -0.5
	5: &draw.Kernel{Support: 1, At: func(t float64) float64 { return sinc(t) * (0.54 + 0.46*math.Cos(math.Pi*t)) }}, // Hamming
}

func sinc(t float64) float64 {
	if t == 0 {
		return 1
	}
	return math.Sin(math.Pi*t) / (math.Pi * t)
}

// Check reports a way of resizing that is not known.
func (g *Geometry) Check() error {
	if resamplings[g.Resample] == nil {
		return fmt.Errorf("resample is %d, expected 0 (nearest), 1 (Lanczos), 2 (bilinear), 3 (bicubic) or 5 (Hamming)", g.Resample)
	}
	return nil
}

// apply is the picture resized and cut.
func (g *Geometry) apply(src image.Image) (*image.RGBA, error) {
	b := src.Bounds()
	by, size := resamplings[g.Resample], g.size(b.Dx(), b.Dy())
	if size == b.Size() {
		by = draw.NearestNeighbor
	}
	dst, err := scale(by, src, b, size)
	if err != nil || g.CropHeight == 0 {
		return dst, err
	}
	out := image.NewRGBA(image.Rect(0, 0, g.CropWidth, g.CropHeight))
	from := image.Pt((size.X-g.CropWidth)>>1, (size.Y-g.CropHeight)>>1) // rounded down, also below 0
	draw.Draw(out, dst.Bounds().Sub(from), dst, image.Point{}, draw.Src)
	return out, nil
}

// size is what a picture of w x h pixels is resized to.
func (g *Geometry) size(w, h int) image.Point {
	switch {
	case g.Shortest == 0 && g.Height == 0:
		return image.Pt(w, h)
	case g.Shortest == 0:
		return image.Pt(g.Width, g.Height)
	case w <= h:
		return image.Pt(g.Shortest, g.Shortest*h/w)
	}
	return image.Pt(g.Shortest*w/h, g.Shortest)
}

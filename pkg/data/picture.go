package data

import (
	"image"
	"image/color"
	_ "image/jpeg" // decoders of class folders
	_ "image/png"
	"io"

	"golang.org/x/image/draw"
)

const (
	// maxPixels bounds a picture before it is decoded, and what it is resized to.
	maxPixels = 1 << 26
	// maxScratch bounds the pixels between the two passes of resizing, 32 bytes each.
	maxScratch = 1 << 25
)

// frame is what pictures of any size become: Channels x Side x Side values.
type frame struct {
	channels, side int // 1 is grey, 3 are colours
	geometry       *Geometry
}

// read decodes a picture and lays it out channel by channel, 0 to 255.
func (l frame) read(f io.ReadSeeker, into []float32) error {
	src, err := decode(f)
	if err != nil {
		return err
	}
	var dst *image.RGBA
	if l.geometry == nil {
		dst, err = scale(draw.CatmullRom, src, middle(src.Bounds()), image.Pt(l.side, l.side))
	} else {
		dst, err = l.geometry.apply(src)
	}
	if err != nil {
		return err
	}
	if size := dst.Bounds().Size(); size != image.Pt(l.side, l.side) {
		return badImages("the picture becomes %d x %d by preprocessor_config.json, the model reads %d x %d", size.X, size.Y, l.side, l.side)
	}
	area := l.side * l.side
	for i := range area {
		p := dst.Pix[4*i:][:3]
		if l.channels == 1 {
			into[i] = float32(color.GrayModel.Convert(color.RGBA{p[0], p[1], p[2], 255}).(color.Gray).Y)
			continue
		}
		for c := range 3 {
			into[c*area+i] = float32(p[c])
		}
	}
	return nil
}

// decode reads a PNG or JPEG file.
func decode(f io.ReadSeeker) (image.Image, error) {
	c, format, err := image.DecodeConfig(f)
	if err != nil {
		return nil, badImages("%v", err)
	}
	if format != "png" && format != "jpeg" { // other packages of the program may register more
		return nil, badImages("the picture is a %s, expected PNG or JPEG", format)
	}
	if c.Width < 1 || c.Height < 1 || int64(c.Width)*int64(c.Height) > maxPixels {
		return nil, badImages("%d x %d pixels, expected at most %d", c.Width, c.Height, maxPixels)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	src, _, err := image.Decode(f)
	if err != nil {
		return nil, badImages("%v", err)
	}
	return src, nil
}

// middle is the largest square in the middle of a picture.
func middle(b image.Rectangle) image.Rectangle {
	edge := min(b.Dx(), b.Dy())
	return image.Rect(0, 0, edge, edge).Add(b.Min).Add(image.Pt((b.Dx()-edge)/2, (b.Dy()-edge)/2))
}

// scale resizes a part of a picture; what is transparent lets white through.
func scale(by draw.Scaler, src image.Image, part image.Rectangle, size image.Point) (*image.RGBA, error) {
	if int64(size.X)*int64(size.Y) > maxPixels || int64(size.X)*int64(part.Dy()) > maxScratch {
		return nil, badImages("%d x %d pixels are too many to resize to %d x %d", part.Dx(), part.Dy(), size.X, size.Y)
	}
	dst := image.NewRGBA(image.Rectangle{Max: size})
	draw.Draw(dst, dst.Bounds(), image.White, image.Point{}, draw.Src)
	by.Scale(dst, dst.Bounds(), src, part, draw.Over, nil)
	return dst, nil
}

package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"strings"
	"testing"
)

// encoded is a PNG of w x h pixels.
func encoded(t testing.TB, w, h int, at func(x, y int) color.Color) *bytes.Reader {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, at(x, y))
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

// coloured is colour of scripts/golden_pictures.py.
func coloured(x, y int) color.Color {
	at := func(v int) uint8 { return uint8(64 + v%128) }
	return color.NRGBA{at(37*x + 11*y), at(5*x*x + 29*y), at(13*x ^ 41*y), 255}
}

// TestGeometryIsPillows: pictures that are resized and cut are those of Pillow, within
// the rounding to bytes that Pillow makes between its two passes.
func TestGeometryIsPillows(t *testing.T) {
	text, err := os.ReadFile("testdata/pictures/pillow.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Cases []struct {
			W, H, Height, Width, Shortest, Resample, Crop int
			Pixels                                        []int
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil || len(golden.Cases) != 24 {
		t.Fatalf("%d cases (%v)", len(golden.Cases), err)
	}
	for _, c := range golden.Cases {
		g := &Geometry{c.Height, c.Width, c.Shortest, c.Resample, c.Crop, c.Crop}
		x := make([]float32, 3*64)
		if err := (frame{3, 8, g}).read(encoded(t, c.W, c.H, coloured), x); err != nil {
			t.Fatalf("%d x %d by %+v: %v", c.W, c.H, *g, err)
		}
		off := 1.0 // level of 255
		if c.Resample == 0 || c.Height+c.Shortest == 0 {
			off = 0
		}
		for i, want := range c.Pixels {
			if got := x[i%3*64+i/3]; math.Abs(float64(got)-float64(want)) > off {
				t.Errorf("%d x %d by %+v: value %d of pixel %d is %g, Pillow's is %d", c.W, c.H, *g, i%3, i/3, got, want)
				break
			}
		}
	}
}

// TestTransparentIsWhite: with and without a geometry, half transparent is half white.
func TestTransparentIsWhite(t *testing.T) {
	for _, g := range []*Geometry{nil, {Height: 2, Width: 2, Resample: 2}, {CropHeight: 2, CropWidth: 2}} {
		for _, c := range []struct {
			alpha uint8
			want  float64
		}{{0, 255}, {128, 127}, {255, 0}} {
			x := make([]float32, 12)
			at := func(int, int) color.Color { return color.NRGBA{0, 0, 0, c.alpha} }
			if err := (frame{3, 2, g}).read(encoded(t, 4, 4, at), x); err != nil {
				t.Fatal(err)
			}
			for _, v := range x {
				if math.Abs(float64(v)-c.want) > 1 {
					t.Errorf("%+v: black with alpha %d is %g, expected %g", g, c.alpha, v, c.want)
					break
				}
			}
		}
	}
}

// TestGeometryRefuses: pictures that do not become the model's size, and those that
// would take memory without bound, are errors in one line.
func TestGeometryRefuses(t *testing.T) {
	for _, c := range []struct {
		g    Geometry
		w, h int
		want string
	}{
		{Geometry{}, 3, 2, "the picture becomes 3 x 2 by preprocessor_config.json, the model reads 2 x 2"},
		{Geometry{Shortest: 2}, 8, 2, "the picture becomes 8 x 2"},
		{Geometry{Shortest: 8192, Resample: 2, CropHeight: 2, CropWidth: 2}, 4000, 1, "too many to resize to 32768000 x 8192"},
		{Geometry{Height: 2, Width: 8192, Resample: 2}, 1, 5000, "too many to resize to 8192 x 2"},
	} {
		err := (frame{1, 2, &c.g}).read(encoded(t, c.w, c.h, coloured), make([]float32, 4))
		if !errors.Is(err, ErrImages) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, expected %q", c.g, err, c.want)
		}
	}
	for _, r := range []int{-1, 4, 6} {
		if _, err := OpenImages(t.TempDir(), 1, 2, &Geometry{Resample: r}); err == nil || !strings.Contains(err.Error(), "resample is") {
			t.Errorf("resample %d: %v", r, err)
		}
	}
}

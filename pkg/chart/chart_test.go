package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"testing"
)

func figures() map[string]Figure {
	return map[string]Figure{
		"lines": Lines{Axes{Title: "Loss", X: "step", Y: "nats", LogY: true}, []Line{
			{Name: "dense", X: []float64{1, 2, 3}, Y: []float64{3, 2, 1}},
			{Name: "pruned", X: []float64{1, 2, 3}, Y: []float64{3, math.NaN(), -1}, Low: []float64{2, 1, 1}, High: []float64{4, 3, 2}},
			{Name: "nothing to draw", X: []float64{1}, Y: []float64{math.Inf(1)}},
		}, []float64{2}},
		"one value": Lines{Axes{LogX: true, LogY: true}, []Line{{X: []float64{3, 3}, Y: []float64{2, 2}}}, nil},
		"no value":  Lines{Axes{LogY: true}, []Line{{X: []float64{3}, Y: []float64{-2}}}, nil},
		"bands": Bands{Axes{Title: "Scores", Y: "share", LogY: true}, []Band{
			{"0", "qk", []float64{1, 2, 3}}, {"0", "vo", []float64{0, 2}}, {"1", "qk", nil},
		}},
	}
}

func TestEncode(t *testing.T) {
	for name, f := range figures() {
		b, err := Encode(f, name+".png", 400, 300)
		if err != nil {
			t.Fatal(err)
		}
		if img, err := png.Decode(bytes.NewReader(b)); err != nil || img.Bounds().Dx() < 400 {
			t.Errorf("%s.png: %v", name, err)
		}
		if b, err = Encode(f, name+".svg", 400, 300); err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(bytes.NewReader(b))
		for err == nil {
			_, err = d.Token()
		}
		if err != io.EOF {
			t.Errorf("%s.svg: %v", name, err)
		}
		if _, err := Encode(f, name+".gif", 400, 300); !errors.Is(err, ErrFormat) {
			t.Errorf("%s.gif: %v", name, err)
		}
	}
	if _, err := (Lines{Curves: []Line{{X: []float64{1}}}}).Draw(); err == nil {
		t.Error("a curve without y was drawn")
	}
}

func TestQuantile(t *testing.T) {
	v := []float64{1, 2, 4, 8}
	for q, want := range map[float64]float64{0: 1, 1: 8, 0.5: 3, 0.25: 1.75} {
		if got := Quantile(v, q); math.Abs(got-want) > 1e-12 {
			t.Errorf("quantile %g is %g, expected %g", q, got, want)
		}
	}
	if !math.IsNaN(Quantile(nil, 0.5)) {
		t.Error("no values have a median")
	}
}

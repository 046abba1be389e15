package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/color"
	"image/png"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/prune"
)

func plots() map[string]Chart {
	return map[string]Chart{
		"lines": {Title: "Loss", X: "step", Unit: "nats", LogY: true, Marks: []Mark{{X: 2}}, Curves: []Curve{
			{Name: "dense", X: []float64{1, 2, 3}, Y: []float64{3, 2, 1}},
			{Name: "pruned", Style: 1, Dots: true, X: []float64{1, 2, 3}, Y: []float64{3, math.NaN(), -1}, Low: []float64{2, 1, 1}, High: []float64{4, 3, 2}},
			{Name: "nothing to draw", Style: 2, X: []float64{1}, Y: []float64{math.Inf(1)}},
		}},
		"one value": {LogX: true, LogY: true, Curves: []Curve{{X: []float64{3, 3}, Y: []float64{2, 2}}}},
		"no value":  {LogY: true, Curves: []Curve{{X: []float64{3}, Y: []float64{-2}}}},
		"scatter":   {Curves: []Curve{{Name: "<a>", Scatter: true, X: []float64{3, 4}, Y: []float64{2, 5}}}},
		"bands": {Title: "Scores", Unit: "share", LogY: true, Bands: []Band{
			{"0", "qk", []float64{3, 1, 2}}, {"0", "vo", []float64{0, 2}}, {"1", "qk", nil},
		}},
	}
}

func TestEncode(t *testing.T) {
	for name, c := range plots() {
		b, err := c.Encode(name+".png", 400, 300)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(b))
		if err != nil || img.Bounds().Dx() != 800 || img.Bounds().Dy() != 600 {
			t.Errorf("%s.png: %v", name, err)
		}
		if b, err = c.Encode(name+".svg", 400, 300); err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(bytes.NewReader(b))
		for err == nil {
			_, err = d.Token()
		}
		if err != io.EOF {
			t.Errorf("%s.svg: %v", name, err)
		}
		if bytes.Contains(b, []byte("NaN")) || bytes.Contains(b, []byte("Inf")) {
			t.Errorf("%s.svg has a place that is no number", name)
		}
		if _, err := c.Encode(name+".gif", 400, 300); !errors.Is(err, ErrFormat) {
			t.Errorf("%s.gif: %v", name, err)
		}
	}
	if _, err := (Chart{Curves: []Curve{{X: []float64{1}}}}).Encode("x.svg", 400, 300); err == nil {
		t.Error("a curve without y was drawn")
	}
}

// TestPaint holds the painter to pixels whose colour is known: a whole line as wide
// as it should be, a dashed one with gaps, and the joint of two segments whole.
func TestPaint(t *testing.T) {
	s, err := newPNGSheet(60, 40)
	if err != nil {
		t.Fatal(err)
	}
	black := color.RGBA{A: 255}
	s.line([]Point{{10, 10}, {30, 10}, {30, 30}}, pen{color: black, width: 4})
	s.line([]Point{{40, 5}, {40, 35}}, pen{color: black, width: 4, dash: []float64{6, 4}})
	for _, c := range []struct {
		x, y float64
		want color.RGBA
	}{
		{20, 10, black}, {20, 8.5, black}, {20, 7, paper}, {20, 13, paper}, {30, 10, black}, {31, 9.4, black}, {30, 20, black}, {33, 20, paper},
		{40, 7, black}, {40, 13, paper}, {40, 17, black}, {40, 23, paper}, {40, 27, black},
	} {
		if got := s.img.RGBAAt(int(c.x*pixels), int(c.y*pixels)); got != c.want {
			t.Errorf("at %g, %g stands %v, expected %v", c.x, c.y, got, c.want)
		}
	}
}

// TestColoursAreThePages holds the colours of files to those of the page.
func TestColoursAreThePages(t *testing.T) {
	css, err := files.ReadFile("style.css")
	if err != nil {
		t.Fatal(err)
	}
	day, _, _ := strings.Cut(string(css), "@media")
	for name, c := range map[string]color.RGBA{"card": paper, "ink": ink, "soft": soft, "grid": gridColor, "event": markColor, "a1": areas[1], "a2": areas[2], "a3": areas[3]} {
		if want := "--" + name + ": " + hex(c) + ";"; !strings.Contains(day, want) {
			t.Errorf("style.css has no %q", want)
		}
	}
	for i, c := range palette {
		if want := "--s" + count(i) + ": " + hex(c) + ";"; !strings.Contains(day, want) {
			t.Errorf("style.css has no %q", want)
		}
	}
}

func TestQuantile(t *testing.T) {
	v := []float64{1, 2, 4, 8}
	for q, want := range map[float64]float64{0: 1, 1: 8, 0.5: 3, 0.25: 1.75} {
		if got := prune.Quantile(v, q); math.Abs(got-want) > 1e-12 {
			t.Errorf("quantile %g is %g, expected %g", q, got, want)
		}
	}
	if !math.IsNaN(prune.Quantile(nil, 0.5)) {
		t.Error("no values have a median")
	}
}

func TestLabels(t *testing.T) {
	for _, c := range []struct {
		at   []float64
		log  bool
		want string
	}{
		{[]float64{5.4, 5.425, 5.45}, false, "5.400 5.425 5.450"},
		{[]float64{0, 0.5, 1}, false, "0 0.5 1.0"},
		{[]float64{0, 2500, 5000}, false, "0 2500 5000"},
		{[]float64{4.875e6, 4.8755e6}, false, "4.8750M 4.8755M"},
		{[]float64{-1, 0, 1}, false, "-1 0 1"},
		{[]float64{0.1, 1, 10}, true, "0.1 1 10"},
		{[]float64{0, 1e-4, 2e-4}, false, "0 0.0001 0.0002"},
	} {
		if got := strings.Join(labels(c.at, c.log), " "); got != c.want {
			t.Errorf("ticks %v have labels %q, expected %q", c.at, got, c.want)
		}
	}
	for lo := range 50 { // whatever the range, two ticks never read alike
		for _, width := range []float64{1e-3, 0.07, 1, 33, 1e5} {
			s := scale{lo: float64(lo) * 1.37, hi: float64(lo)*1.37 + width}
			l := labels(s.ticks(5), false)
			if slices.Sort(l); len(slices.Compact(slices.Clone(l))) != len(l) {
				t.Errorf("from %g to %g: %v", s.lo, s.hi, l)
			}
		}
	}
}

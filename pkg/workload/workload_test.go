package workload

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/tokenizer"
	"github.com/ecospa/ecospa/pkg/train"
)

func drawn(t *testing.T, s model.Sizes) *bundle.Bundle {
	t.Helper()
	m, err := model.New(s)
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Weights.Close)
	set.Init(3)
	b := &bundle.Bundle{Path: "drawn", Model: m, Set: set}
	if _, ok := m.(model.Classifier); !ok {
		b.Tokenizer = tokenizer.Bytes{}
	}
	return b
}

func textModel(t *testing.T) *bundle.Bundle {
	return drawn(t, model.Sizes{Family: "llama", Layers: 1, Width: 16, Heads: 2, KVHeads: 1, FFN: 16, Vocab: 256, Context: 32})
}

func imageModel(t *testing.T) *bundle.Bundle {
	return drawn(t, model.Sizes{Family: "vit", Layers: 1, Width: 16, Heads: 2, FFN: 16, ImageSize: 4, PatchSize: 2, Channels: 3, Labels: 3})
}

// words is a text file of n bytes.
func words(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("the cat sat on a mat. ", n/22+1)[:n]), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// pictures is a folder of class folders with n pictures each.
func pictures(t *testing.T, n int, classes ...string) string {
	t.Helper()
	dir := t.TempDir()
	for k, c := range classes {
		if err := os.MkdirAll(filepath.Join(dir, c), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			m := image.NewRGBA(image.Rect(0, 0, 4, 4))
			for p := range 16 {
				m.Set(p%4, p/4, color.RGBA{uint8(40 * k), uint8(10 * i), uint8(p), 255})
			}
			f, err := os.Create(filepath.Join(dir, c, fmt.Sprintf("%d.png", i)))
			if err == nil {
				err = png.Encode(f, m)
			}
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}
	return dir
}

// TestConformance holds what every workload promises, whatever it is made of.
func TestConformance(t *testing.T) {
	text, images := textModel(t), imageModel(t)
	for _, c := range []struct {
		name string
		b    *bundle.Bundle
		path string
		unit Unit
		n    int // units
		seq  int // tokens of a sequence
	}{
		{"text", text, words(t, 1000), Token, 1000, 32},
		{"images", images, pictures(t, 20, "a", "b", "c"), Image, 60, images.Model.Context()},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole, err := Open(c.b, Source{Path: c.path})
			if err != nil {
				t.Fatal(err)
			}
			part, err := Open(c.b, Source{Path: c.path, Held: 0.1, Seed: 5})
			if err != nil {
				t.Fatal(err)
			}
			if a, z := whole.Counts(); whole.Unit() != c.unit || a != c.n || z != c.n {
				t.Errorf("%d and %d %ss, expected all %d in both parts", a, z, whole.Unit(), c.n)
			}
			if a, z := part.Counts(); a != c.n-c.n/10 || z != c.n/10 {
				t.Errorf("a tenth held out: %d and %d of %d", a, z, c.n)
			}
			if n, err := whole.Context(c.b.Model, 0, 0); err != nil || n != c.seq {
				t.Errorf("context %d, %v; expected %d", n, err, c.seq)
			}
			if _, err := whole.Context(c.b.Model, c.seq+1, 0); fault.Of(err) != fault.Config {
				t.Errorf("a context beyond the model's: %v", err)
			}
			for _, n := range []int{3, 1 << 20} {
				s, err := part.Calibration(n, c.seq, 7)
				if err != nil || s.Context != c.seq || s.Len() < 3 || s.Len() > n {
					t.Fatalf("%d calibration sequences of %d tokens, %v", s.Len(), s.Context, err)
				}
				again, err := part.Calibration(n, c.seq, 7)
				if err != nil || !reflect.DeepEqual(s, again) {
					t.Error("one seed gave two calibrations")
				}
			}
			on := prune.NewSubject(c.b.Model, c.b.Set, 1, nil)
			defer on.Close()
			var losses []float64
			for _, batch := range []int{0, 1, 7} {
				var done, of int64
				v, err := whole.Evaluate(on, EvalOptions{Batch: batch, Context: c.seq, Progress: func(d, o int64) {
					if d <= done || d > o || of != 0 && of != o {
						t.Errorf("batches of %d: after %d of %d come %d of %d", batch, done, of, d, o)
					}
					done, of = d, o
				}})
				if err != nil {
					t.Fatal(err)
				}
				if done == 0 || done != of {
					t.Errorf("batches of %d end at %d of %d", batch, done, of)
				}
				if want := c.n; v.Tokens != want && v.Tokens != want-1 { // the first token is not predicted
					t.Errorf("%d %ss evaluated, expected %d", v.Tokens, c.unit, want)
				}
				losses = append(losses, v.Loss)
			}
			if math.Abs(losses[0]-losses[1]) > 1e-6 || math.Abs(losses[0]-losses[2]) > 1e-6 {
				t.Errorf("losses by batch size %v, expected one", losses)
			}
			if v, err := whole.Evaluate(on, EvalOptions{Context: c.seq, Limit: 5}); err != nil || v.Tokens != 5 {
				t.Errorf("5 at most: %d, %v", v.Tokens, err)
			}
			b, err := part.Batches(4, c.seq, data.Cursor{Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			at := b.Cursor()
			first, err := b.Next()
			if err != nil {
				t.Fatal(err)
			}
			targets := slices.Clone(first.Targets)
			if err := b.Seek(at); err != nil {
				t.Fatal(err)
			}
			if again, err := b.Next(); err != nil || !slices.Equal(again.Targets, targets) {
				t.Errorf("after Seek another batch, %v", err)
			}
		})
	}
}

// TestClassesGoByName: a model that knows the names of its classes gives them their
// numbers, one that does not goes by their order.
func TestClassesGoByName(t *testing.T) {
	b := imageModel(t)
	dir := pictures(t, 2, "cat", "dog")
	img := b.Model.(model.Classifier).Image()
	for _, c := range []struct {
		names []string
		want  []int32
	}{
		{nil, []int32{0, 0, 1, 1}},
		{[]string{"LABEL_0", "LABEL_1", "LABEL_2"}, []int32{0, 0, 1, 1}},
		{[]string{"dog", "fox", "cat"}, []int32{2, 2, 0, 0}},
		{[]string{"dog", "fox", "cow"}, nil},
	} {
		img.Classes = c.names
		w, err := Open(b, Source{Path: dir})
		if c.want == nil {
			if fault.Of(err) != fault.Input || !strings.Contains(err.Error(), "cat") {
				t.Errorf("classes %v: %v", c.names, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for got, err := range w.Validation(4, 0, 0) {
			if err != nil || !slices.Equal(got.Targets, c.want) {
				t.Errorf("classes %v: targets %v, %v; expected %v", c.names, got.Targets, err, c.want)
			}
		}
	}
	img.Classes = nil
	if _, err := Open(b, Source{Path: pictures(t, 1, "a", "b", "c", "d")}); err == nil {
		t.Error("four classes for a model of three")
	}
	if _, err := Open(b, Source{Path: dir, Options: data.Options{Field: "body"}}); fault.Of(err) != fault.Config {
		t.Errorf("a field of images: %v", err)
	}
}

// TestReadingForTraining: the parts and the tokenizer of a run file.
func TestReadingForTraining(t *testing.T) {
	c := data.DefaultConfig()
	c.Path, c.Validation = words(t, 2000), 0.25
	w, tok, err := ReadText(c, func(p data.Part) (tokenizer.Tokenizer, error) {
		if len(p.Text()) != 1500 {
			t.Errorf("the tokenizer is shown %d bytes, expected the training part's 1500", len(p.Text()))
		}
		return tokenizer.Bytes{}, nil
	}, data.Encode)
	if err != nil || tok == nil {
		t.Fatal(err)
	}
	n, err := w.Sequences(32)
	if err != nil {
		t.Fatal(err)
	}
	opening, err := w.Opening(7)
	if err != nil {
		t.Fatal(err)
	}
	if a, z := w.Counts(); a != 1500 || z != 500 || w.Bytes() != 500 || n != 46 || string(toBytes(opening)) != toString(c.Path, 1500, 7) {
		t.Errorf("parts of %d and %d tokens, %d bytes, %d sequences, beginning %q", a, z, w.Bytes(), n, toBytes(opening))
	}
	c.Path = pictures(t, 8, "x", "y")
	b := imageModel(t)
	p, err := ReadImages(c, b.Model.(model.Classifier))
	if err != nil {
		t.Fatal(err)
	}
	if a, z := p.Counts(); a != 12 || z != 4 {
		t.Errorf("parts of %d and %d images", a, z)
	}
	m, err := p.Classifier(model.Sizes{Family: "vit", Layers: 1, Width: 16, Heads: 2, FFN: 16, ImageSize: 4, PatchSize: 2, Channels: 3})
	if err != nil || m.Vocab() != 2 || !slices.Equal(m.(model.Classifier).Image().Classes, []string{"x", "y"}) {
		t.Errorf("the model of the images: %v", err)
	}
	if err := p.As(b.Model.(model.Classifier), false); err != nil {
		t.Error(err)
	}
	if err := p.As(b.Model.(model.Classifier), true); err != nil {
		t.Error(err)
	}
	if !slices.Equal(p.normalise.Mean, b.Model.(model.Classifier).Image().Mean) {
		t.Error("pixels are not treated as the model does")
	}
}

func toBytes(ids []int32) (out []byte) {
	for _, id := range ids {
		out = append(out, byte(id))
	}
	return out
}

func toString(path string, at, n int) string {
	text, _ := os.ReadFile(path)
	return string(text[at:][:n])
}

// TestTokensOutsideTheModel: an added token that the model has no row for is an error
// when a text holds it.
func TestTokensOutsideTheModel(t *testing.T) {
	b := drawn(t, model.Sizes{Family: "llama", Layers: 1, Width: 16, Heads: 2, KVHeads: 1, FFN: 16, Vocab: 110, Context: 32})
	if _, err := Open(b, Source{Path: words(t, 100)}); fault.Of(err) != fault.Input || !strings.Contains(err.Error(), "116") {
		t.Errorf("a text with an id beyond the vocabulary: %v", err)
	}
}

var _ = []Workload{(*Text)(nil), (*Images)(nil)}
var _ train.Batches = Batches(nil)

// TestPruningRefusesAFileBeforeItWorks: a model is a directory.
func TestPruningRefusesAFileBeforeItWorks(t *testing.T) {
	p := DefaultPruning()
	p.From, p.Out = filepath.Join(t.TempDir(), "none"), textFile(t, "a")
	if _, err := p.Run(t.Context()); fault.Of(err) != fault.Config || !strings.Contains(err.Error(), "is a file, expected the name of a directory") {
		t.Error(err)
	}
}

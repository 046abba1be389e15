package workload

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
)

// stripes is a folder of ten pictures of 12 x 4: white, black, white.
func stripes(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	m := image.NewGray(image.Rect(0, 0, 12, 4))
	for p := range 48 {
		if x := p % 12; x < 4 || x >= 8 {
			m.Set(x, p/12, color.White)
		}
	}
	for i := range 10 {
		name := filepath.Join(dir, "LABEL_0", fmt.Sprintf("%d.png", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(name)
		if err == nil {
			err = png.Encode(f, m)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return dir
}

// reopened is the bundle, saved and opened, with a preprocessor_config.json or without.
func reopened(t *testing.T, b *bundle.Bundle, processor string) *bundle.Bundle {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "m")
	if err := b.Save(dir, bundle.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if processor != "" {
		if err := os.WriteFile(filepath.Join(dir, "preprocessor_config.json"), []byte(processor), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	again, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Close)
	return again
}

// TestPicturesAreAsTheProcessorSays: training, validation and calibration see pictures
// resized, cut and normalised by preprocessor_config.json, and so they do of a model
// that was saved again. Without the file they see the middle square.
func TestPicturesAreAsTheProcessorSays(t *testing.T) {
	dir := stripes(t)
	for _, c := range []struct {
		name, processor string
		row             []float32 // of channel 0
	}{
		{"no file", "", []float32{-1, -1, -1, -1}},
		{"nearest", `{"size":{"height":4,"width":4},"resample":0,"image_mean":[0.5,0.5,0.5],"image_std":[0.25,0.5,0.5]}`, []float32{2, -2, -2, 2}},
		{"pixels as they are", `{"size":4,"resample":0,"do_rescale":false,"do_normalize":false}`, []float32{255, 0, 0, 255}},
		{"shorter side, cut", `{"size":{"shortest_edge":2},"resample":0,"do_center_crop":true,"crop_size":4,"do_normalize":false}`, []float32{1, 0, 0, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := reopened(t, imageModel(t), c.processor)
			for _, b := range []*bundle.Bundle{first, reopened(t, first, "")} {
				seen := map[string]data.Batch{}
				w, err := Open(b, Source{Path: dir})
				if err != nil {
					t.Fatal(err)
				}
				for batch, err := range w.Validation(1, 0, 0) {
					if err != nil {
						t.Fatal(err)
					}
					seen["validation"] = batch
					break
				}
				cal, err := w.Calibration(1, b.Model.Context(), 1)
				if err != nil {
					t.Fatal(err)
				}
				seen["calibration"] = cal.Batch
				config := data.DefaultConfig()
				config.Path, config.Validation = dir, 0.5
				run, err := ReadImages(config, b.Model.(model.Classifier))
				if err == nil {
					err = run.As(b.Model.(model.Classifier), false)
				}
				if err != nil {
					t.Fatal(err)
				}
				batches, err := run.Batches(1, 0, data.Cursor{Seed: 1})
				if err != nil {
					t.Fatal(err)
				}
				if seen["training"], err = batches.Next(); err != nil {
					t.Fatal(err)
				}
				for part, batch := range seen {
					at := 4 // the second row; the third case has black above and below
					if got := batch.Pixels[at : at+4]; !slices.Equal(got, c.row) {
						t.Errorf("%s: a row is %v, expected %v", part, got, c.row)
					}
				}
			}
		})
	}
}

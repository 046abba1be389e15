package export

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/ecospa/ecospa/internal/folder"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
)

// TestPreprocessor: an exported directory says what happens to pictures, and what came
// with the model stays as it was.
func TestPreprocessor(t *testing.T) {
	cut := model.Geometry{Shortest: 8, Resample: 3, CropHeight: 8, CropWidth: 8}
	for _, c := range []struct {
		name          string
		sizes         model.Sizes
		own           *model.Geometry
		carried, kind string
		want          model.Geometry
	}{
		{"middle square", vit, nil, "", "CLIPImageProcessor", cut},
		{"middle square, grey", deit, nil, "", "CLIPImageProcessor", cut},
		{"squashed", vit, &model.Geometry{Height: 8, Width: 8, Resample: 2}, "", "ViTImageProcessor", model.Geometry{Height: 8, Width: 8, Resample: 2}},
		{"squashed and cut", deit, &model.Geometry{Height: 9, Width: 9, Resample: 3, CropHeight: 8, CropWidth: 8}, "", "DeiTImageProcessor", model.Geometry{Height: 9, Width: 9, Resample: 3, CropHeight: 8, CropWidth: 8}},
		{"as they are", vit, &model.Geometry{Resample: 2}, "", "ViTImageProcessor", model.Geometry{Resample: 2}},
		{"carried", vit, nil, `{"size": 8, "resample": 1, "image_mean": [0.5, 0.5, 0.5], "odd": 1}`, "", model.Geometry{Height: 8, Width: 8, Resample: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, c.sizes, "", nil)
			f.m.(model.Classifier).Image().Geometry = c.own
			o := Options{Format: "hf", DType: "F32"}
			if c.carried != "" {
				o.Carried = []checkpoint.File{checkpoint.BytesFile("preprocessor_config.json", []byte(c.carried))}
			}
			p, err := New(f.m, f.set, o)
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "m")
			if err := p.Write(dir); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(dir, "preprocessor_config.json"))
			if err != nil || c.carried != "" && string(text) != c.carried {
				t.Fatalf("%s (%v), expected %s", text, err, c.carried)
			}
			root, err := folder.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			m, _, err := model.ReadShapes(root)
			if err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			was, is := f.m.(model.Classifier).Image(), m.(model.Classifier).Image()
			if !reflect.DeepEqual(*is.Geometry, c.want) || !reflect.DeepEqual(is.Mean, was.Mean) || is.Rescale != was.Rescale {
				t.Errorf("%+v, %+v: expected %+v", *is.Geometry, is, c.want)
			}
			if kind := decoded(t, text)["image_processor_type"]; c.kind != "" && kind != c.kind {
				t.Errorf("it is a %v, expected %s", kind, c.kind)
			}
		})
	}
}

func decoded(t *testing.T, text []byte) (out map[string]any) {
	t.Helper()
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

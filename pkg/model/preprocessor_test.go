package model

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// processed is a model of images of 224 x 224 with a preprocessor_config.json.
func processed(t *testing.T, family, more, text string) (*Image, error) {
	t.Helper()
	m, err := Parse([]byte(`{"model_type":"` + family + `","hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":8,"image_size":224,"patch_size":112` + more + `}`))
	if err != nil {
		t.Fatal(err)
	}
	err = m.(*vit).preprocess([]byte(text))
	return m.(Classifier).Image(), err
}

// TestGeometryOfProcessors: sizes in each of their forms, and what image processors of
// transformers do where their files are silent.
func TestGeometryOfProcessors(t *testing.T) {
	for _, c := range []struct {
		family, text string
		want         Geometry
	}{
		{"vit", `{}`, Geometry{Height: 224, Width: 224, Resample: 2}},
		{"vit", `{"image_processor_type":"ViTImageProcessorFast","size":{"height":224,"width":224},"resample":3,"do_center_crop":null,"crop_size":null}`, Geometry{Height: 224, Width: 224, Resample: 3}},
		{"vit", `{"feature_extractor_type":"ViTFeatureExtractor","size":224,"do_resize":true}`, Geometry{Height: 224, Width: 224, Resample: 2}},
		{"vit", `{"size":{"shortest_edge":256},"do_center_crop":true,"crop_size":224}`, Geometry{Shortest: 256, Resample: 2, CropHeight: 224, CropWidth: 224}},
		{"vit", `{"do_resize":false}`, Geometry{Resample: 2}},
		{"vit", `{"do_resize":false,"do_center_crop":true,"crop_size":{"height":224,"width":224}}`, Geometry{Resample: 2, CropHeight: 224, CropWidth: 224}},
		{"vit", `{"image_processor_type":"CLIPImageProcessor","size":224,"image_mean":[0.5,0.5,0.5],"image_std":[1,1,1]}`, Geometry{Shortest: 224, Resample: 3, CropHeight: 224, CropWidth: 224}},
		{"deit", `{}`, Geometry{Height: 256, Width: 256, Resample: 3, CropHeight: 224, CropWidth: 224}},
		{"deit", `{"feature_extractor_type":"DeiTFeatureExtractor","size":256,"crop_size":224,"resample":3}`, Geometry{Height: 256, Width: 256, Resample: 3, CropHeight: 224, CropWidth: 224}},
		{"deit", `{"size":{"height":224,"width":224}}`, Geometry{Height: 224, Width: 224, Resample: 3, CropHeight: 224, CropWidth: 224}},
	} {
		img, err := processed(t, c.family, "", c.text)
		if err != nil || !reflect.DeepEqual(*img.Geometry, c.want) {
			t.Errorf("%s %s: %+v (%v), expected %+v", c.family, c.text, img.Geometry, err, c.want)
		}
	}
}

// TestPixelsOfProcessors: the file goes before config.json, what it does not say is
// config.json's, and then the family's.
func TestPixelsOfProcessors(t *testing.T) {
	const own = `,"rescale_factor":0.5,"image_mean":[1,2,3],"image_std":[4,5,6]`
	for _, c := range []struct {
		config, text string
		rescale      float64
		mean, std    []float64
	}{
		{"", `{}`, 1.0 / 255, []float64{0.5, 0.5, 0.5}, []float64{0.5, 0.5, 0.5}},
		{own, `{}`, 0.5, []float64{1, 2, 3}, []float64{4, 5, 6}},
		{own, `{"rescale_factor":0.25,"image_mean":[0,0,1]}`, 0.25, []float64{0, 0, 1}, []float64{4, 5, 6}},
		{own, `{"do_rescale":false,"do_normalize":false}`, 1, []float64{0, 0, 0}, []float64{1, 1, 1}},
	} {
		i, err := processed(t, "vit", c.config, c.text)
		if err != nil || i.Rescale != c.rescale || !reflect.DeepEqual(i.Mean, c.mean) || !reflect.DeepEqual(i.Std, c.std) {
			t.Errorf("%s %s: %g, %v, %v (%v)", c.config, c.text, i.Rescale, i.Mean, i.Std, err)
		}
	}
}

// TestProcessorsRefused: what cannot be done is refused by its name, in one line.
func TestProcessorsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"resample":4}`:                                    "resample is 4, expected 0 (nearest)",
		`{"resample":9}`:                                    "resample is 9, expected",
		`{"resample":"bicubic"}`:                            "resample",
		`{"do_pad":true}`:                                   "do_pad is true, which is not known",
		`{"do_flip_channel_order":true}`:                    "do_flip_channel_order is true",
		`{"crop_pct":0.875}`:                                "crop_pct is 0.875",
		`{"size":{"longest_edge":224}}`:                     `size is {"longest_edge":224}, expected height and width, or shortest_edge`,
		`{"size":{"shortest_edge":224,"longest_edge":300}}`: "expected height and width, or shortest_edge",
		`{"size":{"height":224}}`:                           "expected height and width",
		`{"size":"large"}`:                                  "expected a number or an object",
		`{"size":0}`:                                        "size has 0, expected 1 to",
		`{"size":{"shortest_edge":-3}}`:                     "size has -3",
		`{"size":1000000}`:                                  "size has 1000000",
		`{"size":256}`:                                      "size gives pictures of 256 x 256, the model's image_size is 224",
		`{"do_center_crop":true,"crop_size":200}`:           "crop_size gives pictures of 200 x 200",
		`{"do_center_crop":true,"crop_size":{"shortest_edge":224}}`: "crop_size has a shortest_edge",
		`{"image_processor_type":"ConvNextImageProcessor"}`:         "image_processor_type is ConvNextImageProcessor, expected ViT",
		`{"image_processor_type":"BitImageProcessor"}`:              "image_mean or image_std is absent",
		`{"rescale_factor":0}`:                                      "rescale_factor is 0",
		`{"image_std":[1,0,1]}`:                                     "image_std has 0",
		`[]`:                                                        "cannot unmarshal array",
	} {
		if _, err := processed(t, "vit", "", text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, expected %q", text, err, want)
		}
	}
}

// FuzzPreprocessor: no file makes a geometry that does not end at the model's size.
func FuzzPreprocessor(f *testing.F) {
	f.Add([]byte(`{"size":{"shortest_edge":256},"do_center_crop":true,"crop_size":224}`))
	f.Add([]byte(`{"do_resize":false,"image_mean":[1,2,3]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		img, err := processed(t, "deit", "", string(text))
		if err != nil {
			return
		}
		g := img.Geometry
		if g == nil && json.Valid(text) || g.fits(224) != nil || len(img.Mean) != 3 || len(img.Std) != 3 {
			t.Errorf("%q gives %+v", text, img)
		}
	})
}

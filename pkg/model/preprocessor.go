package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Geometry is how a picture of any size becomes the image that a Classifier reads, as
// preprocessor_config.json says it: resized, then cut. Sizes are in pixels.
type Geometry struct {
	Height, Width int // resized to this, whatever its proportions; 0: not so
	Shortest      int // or: the shorter side becomes this, the other in proportion; 0: not so
	Resample      int // how it is resized, Pillow's number: 2 bilinear, 3 bicubic
	// CropHeight and CropWidth are cut from the middle; where the picture is smaller there
	// is black around it. 0: nothing is cut.
	CropHeight, CropWidth int
}

// preprocessor is preprocessor_config.json, as image processors of transformers have it.
type preprocessor struct {
	Kind      string          `json:"image_processor_type"`
	Extractor string          `json:"feature_extractor_type"` // the older name of the kind
	Resize    *bool           `json:"do_resize"`
	Size      json.RawMessage `json:"size"`
	Resample  *int            `json:"resample"`
	Crop      *bool           `json:"do_center_crop"`
	CropSize  json.RawMessage `json:"crop_size"`
	Scale     *bool           `json:"do_rescale"`
	Rescale   *float64        `json:"rescale_factor"`
	Normalise *bool           `json:"do_normalize"`
	Mean      []float64       `json:"image_mean"`
	Std       []float64       `json:"image_std"`
}

// processorKind is what a kind of image processor does where its file is silent.
type processorKind struct {
	shortest, crop bool // a size that is a number is of the shorter side; the middle is cut
	resample       int
	enlarged       bool // resized to 256/224 of what is then cut
	moments        bool // mean and std must be said: they are not the family's
}

var processorKinds = map[string]processorKind{
	"ViT":  {resample: 2},
	"DeiT": {resample: 3, crop: true, enlarged: true},
	"CLIP": {resample: 3, crop: true, shortest: true, moments: true},
	"Bit":  {resample: 3, crop: true, shortest: true, moments: true},
}

// honoured are the steps that are known.
var honoured = []string{"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"}

// preprocess takes over what a preprocessor_config.json says; it goes before config.json.
func (m *vit) preprocess(text []byte) error {
	var p preprocessor
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	if err := refuseSteps(text); err != nil {
		return err
	}
	kind, err := p.kind(m.ModelType)
	if err != nil {
		return err
	}
	g, err := p.geometry(kind, m.ImageSize)
	if err != nil {
		return err
	}
	if _, h, w := g.sides(); m.dino != nil && h == w && h != m.ImageSize && h > 0 && h <= maxSide && h%m.PatchSize == 0 {
		m.resized(h)
	}
	if m.image.Geometry = g; g.fits(m.ImageSize) != nil {
		return g.fits(m.ImageSize)
	}
	if err := p.pixels(m, kind); err != nil {
		return err
	}
	return m.normalisation()
}

// pixels takes over scale, mean and deviation.
func (p *preprocessor) pixels(m *vit, kind processorKind) error {
	switch {
	case !on(p.Scale, true):
		m.Rescale = 1
	case p.Rescale != nil && *p.Rescale <= 0:
		return fmt.Errorf("rescale_factor is %g, expected above 0", *p.Rescale)
	case p.Rescale != nil:
		m.Rescale = *p.Rescale
	}
	if !on(p.Normalise, true) {
		m.Mean, m.Std = make([]float64, m.Channels), slices.Repeat([]float64{1}, m.Channels)
		return nil
	}
	if p.Mean != nil {
		m.Mean = p.Mean
	}
	if p.Std != nil {
		m.Std = p.Std
	}
	if kind.moments && (m.Mean == nil || m.Std == nil) {
		return fmt.Errorf("image_mean or image_std is absent, expected both of a %s", p.name())
	}
	return nil
}

// on is a switch that may be absent.
func on(x *bool, otherwise bool) bool {
	if x == nil {
		return otherwise
	}
	return *x
}

// refuseSteps names what a file asks for that is not known.
func refuseSteps(text []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(all)) {
		v := string(all[k])
		if v == "null" || v == "false" || slices.Contains(honoured, k) {
			continue
		}
		if strings.HasPrefix(k, "do_") || k == "crop_pct" {
			return fmt.Errorf("%s is %s, which is not known; known steps are %s", short(k), short(v), strings.Join(honoured, ", "))
		}
	}
	return nil
}

func (p *preprocessor) name() string {
	if p.Kind != "" {
		return p.Kind
	}
	return p.Extractor
}

// kind is that of the processor, where the file is silent the family's.
func (p *preprocessor) kind(family string) (processorKind, error) {
	name := p.name()
	if name == "" {
		name = map[string]string{"vit": "ViT", "deit": "DeiT", "dinov2": "Bit"}[family] + "ImageProcessor"
	}
	for _, end := range []string{"Fast", "Pil", "ImageProcessor", "FeatureExtractor"} {
		name = strings.TrimSuffix(name, end)
	}
	k, ok := processorKinds[name]
	if !ok {
		return k, fmt.Errorf("image_processor_type is %s, expected ViT, DeiT, CLIP or BitImageProcessor", short(p.name()))
	}
	return k, nil
}

// geometry is what the file says of sizes, for a model of images of side x side.
func (p *preprocessor) geometry(kind processorKind, side int) (*Geometry, error) {
	g := &Geometry{Resample: kind.resample}
	if p.Resample != nil {
		g.Resample = *p.Resample
	}
	if g.Resample < 0 || g.Resample > 5 || g.Resample == 4 {
		return nil, fmt.Errorf("resample is %d, expected 0 (nearest), 1 (Lanczos), 2 (bilinear), 3 (bicubic) or 5 (Hamming)", g.Resample)
	}
	crop := on(p.Crop, kind.crop)
	if on(p.Resize, true) {
		absent := side
		if crop && kind.enlarged {
			absent = side * 256 / 224
		}
		s, err := sizeOf("size", p.Size, absent, kind.shortest)
		if err != nil {
			return nil, err
		}
		g.Height, g.Width, g.Shortest = s.Height, s.Width, s.Shortest
	}
	if crop {
		s, err := sizeOf("crop_size", p.CropSize, side, false)
		switch {
		case err != nil:
			return nil, err
		case s.Shortest != 0:
			return nil, fmt.Errorf("crop_size has a shortest_edge, expected height and width")
		}
		g.CropHeight, g.CropWidth = s.Height, s.Width
	}
	return g, nil
}

// sides are those of a picture whose proportions are the model's, and the key that says them; 0
// where it must have the size.
func (g *Geometry) sides() (key string, h, w int) {
	switch {
	case g.CropHeight != 0:
		return "crop_size", g.CropHeight, g.CropWidth
	case g.Shortest != 0:
		return "size", g.Shortest, g.Shortest
	}
	return "size", g.Height, g.Width
}

// fits reports sizes that never give the model's.
func (g *Geometry) fits(side int) error {
	if key, h, w := g.sides(); h != 0 && (h != side || w != side) {
		return fmt.Errorf("%s gives pictures of %d x %d, the model's image_size is %d", key, h, w, side)
	}
	return nil
}

// sizeOf reads a size: a number, {"height", "width"} or {"shortest_edge"}.
func sizeOf(key string, text json.RawMessage, absent int, shortest bool) (Geometry, error) {
	number, sides := absent, map[string]*int{}
	if len(text) > 0 && string(text) != "null" && json.Unmarshal(text, &number) != nil {
		if err := json.Unmarshal(text, &sides); err != nil {
			return Geometry{}, fmt.Errorf("%s is %s, expected a number or an object of whole numbers", key, short(string(text)))
		}
		maps.DeleteFunc(sides, func(_ string, v *int) bool { return v == nil })
		h, w, s := sides["height"], sides["width"], sides["shortest_edge"]
		switch {
		case h != nil && w != nil && len(sides) == 2:
			return within(key, Geometry{Height: *h, Width: *w}, *h, *w)
		case s != nil && len(sides) == 1:
			return within(key, Geometry{Shortest: *s}, *s)
		}
		return Geometry{}, fmt.Errorf("%s is %s, expected height and width, or shortest_edge", key, short(string(text)))
	}
	if shortest {
		return within(key, Geometry{Shortest: number}, number)
	}
	return within(key, Geometry{Height: number, Width: number}, number)
}

// within bounds the numbers of a size.
func within(key string, g Geometry, sizes ...int) (Geometry, error) {
	for _, x := range sizes {
		if x < 1 || x > 2*maxSide {
			return g, fmt.Errorf("%s has %d, expected 1 to %d", key, x, 2*maxSide)
		}
	}
	return g, nil
}

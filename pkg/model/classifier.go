package model

// Classifier is a model that says what is on an image. Its Loss reads "pixels"
// [B, C·H·W] instead of "ids", and "targets" [B] are classes; T is always its
// Context, the tokens of an image. Vocab is the number of classes. Its Decode
// takes no cache; "logits" are [B, classes].
type Classifier interface {
	Model
	// Image is what images it reads; the caller may set what is learned from
	// data: classes' names and normalisation.
	Image() *Image
	// Reclassify returns the model for other classes, by name; its parameters differ
	// in those with the dimension ClassesDim alone.
	Reclassify(classes []string) (Classifier, error)
}

// ClassesDim is the dimension of a classifier's parameters that has a row a class.
const ClassesDim = "classes"

// Image describes the images that a Classifier reads, each square: pixel values v as
// they are in files become (v·Rescale - Mean)/Std, channel by channel.
type Image struct {
	Channels, Side int       // 1 grey or 3 colours (RGB); pixels
	Patch          int       // pixels per side of the squares that become tokens
	Rescale        float64   // 1/255 makes bytes shares of one
	Mean, Std      []float64 // a channel
	Classes        []string  // names; nil when there are none
	Geometry       *Geometry // of pictures; nil: the middle square is resized to Side
}

// Size is the number of values of an image.
func (i *Image) Size() int { return i.Channels * i.Side * i.Side }

package data

import (
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // decoders of class folders
	_ "image/png"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/image/draw"

	"github.com/ecospa/ecospa/internal/folder"
)

// maxPixels bounds a picture before it is decoded.
const maxPixels = 1 << 26

// openFolder lists the pictures of class folders; each is decoded when it is read.
// Links are not followed out of the folder.
func openFolder(dir string, channels, side int) (*Images, error) {
	root, err := folder.Open(dir)
	if err != nil {
		return nil, err
	}
	m := &Images{Rescale: 1.0 / 255}
	var files []string
	folders, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	for _, f := range folders {
		if !f.IsDir() || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		entries, err := fs.ReadDir(root.FS(), f.Name())
		if err != nil {
			return nil, err
		}
		before := len(files)
		for _, e := range entries {
			ext := strings.ToLower(path.Ext(e.Name()))
			if e.IsDir() || ext != ".png" && ext != ".jpg" && ext != ".jpeg" {
				continue
			}
			if len(files) == maxImages {
				return nil, badImages("more than %d pictures", maxImages)
			}
			name := path.Join(f.Name(), e.Name())
			size := int64(0)
			if st, err := e.Info(); err == nil {
				size = st.Size()
			}
			files = append(files, name)
			m.labels = append(m.labels, int32(len(m.Classes)))
			m.sum = sumOf(m.sum, fmt.Appendf(nil, "%s %d\n", name, size))
		}
		if len(files) > before {
			m.Classes = append(m.Classes, f.Name())
		}
	}
	if len(files) == 0 {
		return nil, badImages("no .png, .jpg or .jpeg file in a folder of its class")
	}
	// Names that are numbers are put in the order of names like any other, as HF's and
	// PyTorch's folders of images are.
	if !slices.IsSorted(m.Classes) || len(m.Classes) > maxClasses {
		return nil, badImages("%d classes, expected at most %d", len(m.Classes), maxClasses)
	}
	m.read = func(i int, into []float32) error {
		if err := readPicture(root, files[i], channels, side, into); err != nil {
			return fmt.Errorf("%s: %w", path.Join(dir, files[i]), err)
		}
		return nil
	}
	return m, nil
}

// readPicture decodes a picture, resizes its middle square and lays it out channel
// by channel, 0 to 255.
func readPicture(root *folder.Dir, name string, channels, side int, into []float32) error {
	st, err := root.Stat(name)
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() { // a pipe would be waited for
		return badImages("not a regular file")
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return decodePicture(f, channels, side, into)
}

func decodePicture(f io.ReadSeeker, channels, side int, into []float32) error {
	c, format, err := image.DecodeConfig(f)
	if err != nil {
		return badImages("%v", err)
	}
	if format != "png" && format != "jpeg" { // other packages of the program may register more
		return badImages("the picture is a %s, expected PNG or JPEG", format)
	}
	if c.Width < 1 || c.Height < 1 || int64(c.Width)*int64(c.Height) > maxPixels {
		return badImages("%d x %d pixels, expected at most %d", c.Width, c.Height, maxPixels)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	src, _, err := image.Decode(f)
	if err != nil {
		return badImages("%v", err)
	}
	b := src.Bounds()
	edge := min(b.Dx(), b.Dy())
	square := image.Rect(0, 0, edge, edge).Add(b.Min).Add(image.Pt((b.Dx()-edge)/2, (b.Dy()-edge)/2))
	dst := image.NewRGBA(image.Rect(0, 0, side, side))
	draw.CatmullRom.Scale(dst, dst.Bounds(), src, square, draw.Over, nil)
	area := side * side
	for i := range area {
		p := dst.Pix[4*i:][:3]
		if channels == 1 {
			into[i] = float32(color.GrayModel.Convert(color.RGBA{p[0], p[1], p[2], 255}).(color.Gray).Y)
			continue
		}
		for c := range 3 {
			into[c*area+i] = float32(p[c])
		}
	}
	return nil
}

package data

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/internal/folder"
)

// openFolder lists the pictures of class folders; each is decoded when it is read.
// Links are not followed out of the folder.
func openFolder(dir string, l frame) (*Images, error) {
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
		if err := readPicture(root, files[i], l, into); err != nil {
			return fmt.Errorf("%s: %w", path.Join(dir, files[i]), err)
		}
		return nil
	}
	return m, nil
}

// readPicture reads a picture's file into the values of a frame.
func readPicture(root *folder.Dir, name string, l frame, into []float32) error {
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
	return l.read(f, into)
}

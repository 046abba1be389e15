package data

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
)

// Images is labelled images of one size, Channels x Side x Side. Pixel values are as
// files hold them: 0 to 255 for pictures and IDX, any numbers for CSV.
type Images struct {
	Channels, Side int
	Classes        []string // names; the index is the class
	Rescale        float64  // brings pixels to shares of one: 1/255 for bytes, 1 for CSV

	labels []int32
	which  []int32 // images of this part
	read   func(i int, into []float32) error
	sum    uint32
}

// ErrImages is wrapped by every complaint about the content of an image file.
var ErrImages = errors.New("data: images")

func badImages(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrImages}, a...)...)
}

const (
	maxImages  = 1 << 24 // in one set
	maxClasses = 1 << 16
	// maxValues bounds the pixel values that are kept in memory: 1 GiB of float32 or
	// 4 GiB of bytes. Folders are decoded as they are read, and have no bound.
	maxValues = 1 << 28
)

// Len is the number of images.
func (m *Images) Len() int { return len(m.which) }

// Size is the number of values of an image.
func (m *Images) Size() int { return m.Channels * m.Side * m.Side }

// Checksum says whether two sets are the same: CRC-32C of content and classes, for
// folders of names and sizes.
func (m *Images) Checksum() uint32 { return m.sum }

// Read puts the values of image i, channel by channel, into into and returns its class.
func (m *Images) Read(i int, into []float32) (class int32, err error) {
	at := int(m.which[i])
	return m.labels[at], m.read(at, into[:m.Size()])
}

// OpenImages opens a folder of class folders with PNG and JPEG files, a CSV file of
// pixel values with the class last, or an IDX file (MNIST's format, its labels beside
// it: images becomes labels and idx3 idx1 in the name); CSV and IDX may be compressed
// with gzip. Pictures become images by the geometry, without one (nil) by cutting them to
// their middle square and resizing it (bicubic) to side; where they are transparent they
// are white. The other formats must be of the images' size.
func OpenImages(path string, channels, side int, g *Geometry) (*Images, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if g != nil {
		if err := g.Check(); err != nil {
			return nil, err
		}
	}
	var m *Images
	if st.IsDir() {
		m, err = openFolder(path, frame{channels, side, g})
	} else {
		m, err = openFile(path, channels, side)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m.Channels, m.Side = channels, side
	m.which = make([]int32, len(m.labels))
	for i := range m.which {
		m.which[i] = int32(i)
	}
	return m, nil
}

func openFile(path string, channels, side int) (*Images, error) {
	r, err := openUnzipped(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if head, err := r.Peek(4); err == nil && [4]byte(head) == imageMagic {
		if channels != 1 {
			return nil, badImages("IDX images are grey, model.num_channels is %d", channels)
		}
		labels, err := openUnzipped(labelsName(path))
		if err != nil {
			return nil, err
		}
		defer labels.Close()
		return ReadIDX(r, labels, side)
	}
	return ReadCSV(r, channels*side*side)
}

// unzipped is a file, decompressed when it is compressed with gzip.
type unzipped struct {
	*bufio.Reader
	f *os.File
}

func (u unzipped) Close() error { return u.f.Close() }

func openUnzipped(path string) (unzipped, error) {
	f, err := os.Open(path)
	if err != nil {
		return unzipped{}, err
	}
	b := bufio.NewReaderSize(f, 1<<16)
	if head, err := b.Peek(2); err == nil && head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			f.Close()
			return unzipped{}, badImages("gzip: %v", err)
		}
		b = bufio.NewReaderSize(z, 1<<16)
	}
	return unzipped{b, f}, nil
}

// Split divides the images in a part to learn from and a held-out share, at
// random by the seed.
func (m *Images) Split(share float64, seed uint64) (train, held *Images) {
	n := int(share * float64(len(m.which)))
	order := append([]int32(nil), m.which...)
	rng := rand.New(rand.NewPCG(seed, 0x73706c6974))
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	a, b := *m, *m
	a.which, b.which = order[n:], order[:n]
	return &a, &b
}

// Under gives the classes of m the numbers that they have among others, by name; a
// class that is not there is an error.
func (m *Images) Under(classes []string) error {
	at := map[string]int32{}
	for i, c := range classes {
		at[c] = int32(i)
	}
	to := make([]int32, len(m.Classes))
	for i, c := range m.Classes {
		to[i] = -1
		if n, ok := at[c]; ok {
			to[i] = n
		}
	}
	labels := make([]int32, len(m.labels)) // the other part of a split has the old ones
	for i, l := range m.labels {
		if to[l] < 0 {
			return badImages("class %.40q is not among those", m.Classes[l])
		}
		labels[i] = to[l]
	}
	m.labels, m.Classes = labels, classes
	return nil
}

// byNumber names classes: labels that are all numbers are the classes themselves, so
// that gaps stay gaps; other labels are numbered in the order of names.
func byNumber(names []string) (classes []string, number map[string]int32, err error) {
	top := -1
	for _, n := range names {
		x, err := strconv.Atoi(n)
		if err != nil || x < 0 || strconv.Itoa(x) != n {
			top = -1
			break
		}
		top = max(top, x)
	}
	if top >= maxClasses || len(names) > maxClasses {
		return nil, nil, badImages("more than %d classes", maxClasses)
	}
	number = map[string]int32{}
	if top >= 0 {
		for i := range top + 1 {
			classes = append(classes, strconv.Itoa(i))
		}
	} else {
		classes = names
	}
	for i, c := range classes {
		number[c] = int32(i)
	}
	return classes, number, nil
}

// Moments is the mean and the standard deviation (never 0) of rescaled pixel values,
// channel by channel, over at most 10000 images spread evenly.
func (m *Images) Moments() (mean, std []float64, err error) {
	mean, std = make([]float64, m.Channels), make([]float64, m.Channels)
	x := make([]float32, m.Size())
	every := max(1, m.Len()/10000)
	n, area := 0, m.Side*m.Side
	for i := 0; i < m.Len(); i += every {
		if _, err := m.Read(i, x); err != nil {
			return nil, nil, err
		}
		n += area
		for c := range m.Channels {
			for _, v := range x[c*area:][:area] {
				w := float64(v) * m.Rescale
				mean[c] += w
				std[c] += w * w
			}
		}
	}
	for c := range mean {
		mean[c] /= float64(n)
		std[c] = math.Sqrt(max(0, std[c]/float64(n)-mean[c]*mean[c]))
		if !(std[c] > 1e-6) {
			std[c] = 1
		}
	}
	return mean, std, nil
}

// sumOf adds bytes to a CRC-32C.
func sumOf(sum uint32, b []byte) uint32 {
	return crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), b)
}

// readBounded reads n bytes without trusting n: memory grows with what arrives.
func readBounded(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, 0, min(n, 1<<20))
	for len(b) < n {
		k := min(n-len(b), 1<<20)
		b = append(b, make([]byte, k)...)
		if _, err := io.ReadFull(r, b[len(b)-k:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

package data

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ReadCSV reads images from lines of comma-separated numbers, one image a line: size
// pixel values, channel by channel and row by row, then the class (a number from 0, or
// a name). Blank lines and lines that begin with # are passed over.
func ReadCSV(r io.Reader, size int) (*Images, error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 64<<10), 64<<10+32*size)
	var values []float32
	var names []string
	known := map[string]string{} // so that a name is held once
	line := 0
	sum := uint32(0)
	for in.Scan() {
		line++
		text := bytes.TrimSpace(in.Bytes())
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		sum = sumOf(sumOf(sum, text), []byte{'\n'})
		fields := strings.Split(string(text), ",")
		if len(fields) != size+1 {
			return nil, badImages("line %d has %d values, expected %d pixels and a class", line, len(fields), size)
		}
		if len(values)+size > maxValues || len(names) == maxImages {
			return nil, badImages("line %d: more than %d pixel values or %d images", line, maxValues, maxImages)
		}
		var err error
		if values, err = appendPixels(values, fields[:size], line); err != nil {
			return nil, err
		}
		class := strings.TrimSpace(fields[size])
		if class == "" || len(class) > 200 {
			return nil, badImages("line %d: the class has %d bytes, expected 1 to 200", line, len(class))
		}
		if _, ok := known[class]; !ok {
			if len(known) == maxClasses {
				return nil, badImages("line %d: more than %d classes", line, maxClasses)
			}
			known[strings.Clone(class)] = strings.Clone(class)
		}
		names = append(names, known[class])
	}
	if err := in.Err(); err != nil {
		return nil, badImages("line %d: %v", line+1, err)
	}
	if len(names) == 0 {
		return nil, badImages("no image, expected lines of %d pixels and a class", size)
	}
	classes, number, err := byNumber(slices.Sorted(maps.Keys(known)))
	if err != nil {
		return nil, err
	}
	m := &Images{Classes: classes, Rescale: 1, sum: sum}
	for _, n := range names {
		m.labels = append(m.labels, number[n])
	}
	m.read = func(i int, into []float32) error {
		copy(into, values[i*size:][:size])
		return nil
	}
	return m, nil
}

// appendPixels appends the values of a line.
func appendPixels(to []float32, fields []string, line int) ([]float32, error) {
	for i, f := range fields {
		x, err := strconv.ParseFloat(strings.TrimSpace(f), 32)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, badImages("line %d: value %d is %.20q, expected a finite number", line, i+1, f)
		}
		to = append(to, float32(x))
	}
	return to, nil
}

// The first bytes of IDX files of unsigned bytes in three dimensions, and in one.
var (
	imageMagic = [4]byte{0, 0, 8, 3}
	labelMagic = [4]byte{0, 0, 8, 1}
)

// labelsName is the name of the labels that belong to an IDX file of images.
func labelsName(images string) string {
	dir, name := images[:strings.LastIndexAny(images, `/\`)+1], images[strings.LastIndexAny(images, `/\`)+1:]
	return dir + strings.NewReplacer("images", "labels", "idx3", "idx1").Replace(name)
}

// ReadIDX reads grey images of side x side and their labels in the format of MNIST
// (http://yann.lecun.com/exdb/mnist/).
func ReadIDX(images, labels io.Reader, side int) (*Images, error) {
	head := make([]byte, 16)
	if _, err := io.ReadFull(images, head); err != nil || [4]byte(head) != imageMagic {
		return nil, badImages("the images begin with % x, expected an IDX file (00 00 08 03)", head[:4])
	}
	n, h, w := binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint32(head[8:]), binary.BigEndian.Uint32(head[12:])
	switch {
	case int64(h) != int64(side) || int64(w) != int64(side):
		return nil, badImages("images of %d x %d, model.image_size is %d", h, w, side)
	case n < 1 || n > maxImages || int64(n)*int64(side*side) > 4*maxValues:
		return nil, badImages("%d images, expected 1 to %d", n, min(maxImages, 4*maxValues/(side*side)))
	}
	pixels, err := readBounded(images, int(n)*side*side)
	if err != nil {
		return nil, badImages("the images end before their %d x %d x %d pixels", n, h, w)
	}
	if _, err := io.ReadFull(labels, head[:8]); err != nil || [4]byte(head) != labelMagic {
		return nil, badImages("the labels begin with % x, expected an IDX file (00 00 08 01)", head[:4])
	}
	if k := binary.BigEndian.Uint32(head[4:]); k != n {
		return nil, badImages("%d labels for %d images", k, n)
	}
	class, err := readBounded(labels, int(n))
	if err != nil {
		return nil, badImages("the labels end before the last of %d", n)
	}
	m := &Images{Rescale: 1.0 / 255, sum: sumOf(sumOf(0, pixels), class)}
	for i := range int(slices.Max(class)) + 1 {
		m.Classes = append(m.Classes, strconv.Itoa(i))
	}
	for _, c := range class {
		m.labels = append(m.labels, int32(c))
	}
	m.read = func(i int, into []float32) error {
		for j, v := range pixels[i*side*side:][:side*side] {
			into[j] = float32(v)
		}
		return nil
	}
	return m, nil
}

package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// digits is a CSV of n images of 3 x 3 whose values and classes are known: image i
// holds i, i+1, ... and is of class i mod 4.
func digits(n int) string {
	var b strings.Builder
	b.WriteString("# values, then the class\n\n")
	for i := range n {
		for j := range 9 {
			fmt.Fprintf(&b, "%d,", i+j)
		}
		fmt.Fprintf(&b, "%d\n", i%4)
	}
	return b.String()
}

func temporary(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func zipped(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	w.Close()
	return z.Bytes()
}

func TestCSV(t *testing.T) {
	for name, content := range map[string][]byte{"a.csv": []byte(digits(10)), "a.csv.gz": zipped([]byte(digits(10)))} {
		m, err := OpenImages(temporary(t, name, content), 1, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float32, 9)
		class, err := m.Read(6, x)
		if err != nil || class != 2 || !reflect.DeepEqual(x, []float32{6, 7, 8, 9, 10, 11, 12, 13, 14}) {
			t.Errorf("%s: image 6 is %v of class %d (%v)", name, x, class, err)
		}
		if m.Len() != 10 || !reflect.DeepEqual(m.Classes, []string{"0", "1", "2", "3"}) {
			t.Errorf("%s: %d images of %v", name, m.Len(), m.Classes)
		}
	}
	m, err := ReadCSV(strings.NewReader("1,cat\n2,ant\n3,cat\n"), 1)
	if err != nil || !reflect.DeepEqual(m.Classes, []string{"ant", "cat"}) || !reflect.DeepEqual(m.labels, []int32{1, 0, 1}) {
		t.Errorf("names: %v (%v)", m, err)
	}
	for text, want := range map[string]string{
		"":                        "no image",
		"1,2,3\n":                 "line 1 has 3 values, expected 9 pixels and a class",
		"#\n1,2,3,4,5,6,7,":       "line 2 has 8 values",
		"1,2,3,4,5,6,7,8,x,1\n":   "value 9 is \"x\"",
		"1,2,3,4,5,6,7,8,NaN,1\n": "expected a finite number",
		"1,2,3,4,5,6,7,8,1e99,1":  "expected a finite number",
		"1,2,3,4,5,6,7,8,9,\n":    "the class has 0 bytes",
		"1,2,3,4,5,6,7,8,9,99999": "more than 65536 classes",
	} {
		if _, err := ReadCSV(strings.NewReader(text), 9); err == nil || !errors.Is(err, ErrImages) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, expected %q", text, err, want)
		}
	}
}

func idx(dims []uint32, content []byte) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, content...)
}

func TestIDX(t *testing.T) {
	pixels := []byte{0, 255, 51, 102, 1, 2, 3, 4, 5, 6, 7, 8}
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "t-images-idx3-ubyte.gz"), zipped(idx([]uint32{3, 2, 2}, pixels)), 0o644)
	os.WriteFile(filepath.Join(dir, "t-labels-idx1-ubyte.gz"), zipped(idx([]uint32{3}, []byte{2, 0, 4})), 0o644)
	m, err := OpenImages(filepath.Join(dir, "t-images-idx3-ubyte.gz"), 1, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 4)
	class, _ := m.Read(0, x)
	if class != 2 || m.Len() != 3 || len(m.Classes) != 5 || !reflect.DeepEqual(x, []float32{0, 255, 51, 102}) || m.Rescale != 1.0/255 {
		t.Errorf("class %d, %v, %+v", class, x, m)
	}
	if _, err := OpenImages(filepath.Join(dir, "t-images-idx3-ubyte.gz"), 3, 2, nil); err == nil || !strings.Contains(err.Error(), "grey") {
		t.Errorf("colours: %v", err)
	}
	for _, c := range []struct {
		images, labels []byte
		want           string
	}{
		{[]byte("abc"), nil, "expected an IDX file"},
		{idx([]uint32{3, 2, 3}, pixels), nil, "images of 2 x 3, model.image_size is 2"},
		{idx([]uint32{0, 2, 2}, nil), nil, "0 images"},
		{idx([]uint32{math.MaxUint32, 2, 2}, nil), nil, "4294967295 images"},
		{idx([]uint32{1 << 23, 2, 2}, pixels), nil, "end before"},
		{idx([]uint32{3, 2, 2}, pixels), idx([]uint32{2}, []byte{0, 1}), "2 labels for 3 images"},
		{idx([]uint32{3, 2, 2}, pixels), idx([]uint32{3}, []byte{0, 1}), "labels end"},
		{idx([]uint32{3, 2, 2}, pixels), idx([]uint32{3, 1, 1}, []byte{0, 1, 2}), "labels begin"},
	} {
		if _, err := ReadIDX(bytes.NewReader(c.images), bytes.NewReader(c.labels), 2); err == nil || !errors.Is(err, ErrImages) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, expected %q", err, c.want)
		}
	}
}

// TestFolder: the middle square is taken, colours and grey come out, broken files
// are named.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	picture := func(name string, c color.Color, w, h int, encode func(f *os.File, m image.Image) error) {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		m := image.NewRGBA(image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				m.Set(x, y, c)
				if w > h && (x < (w-h)/2 || x >= (w+h)/2) {
					m.Set(x, y, color.White) // outside of the middle
				}
			}
		}
		f, err := os.Create(filepath.Join(dir, name))
		if err == nil {
			err = errors.Join(encode(f, m), f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	asPNG := func(f *os.File, m image.Image) error { return png.Encode(f, m) }
	picture("red/1.png", color.RGBA{200, 0, 0, 255}, 12, 4, asPNG)
	picture("red/2.JPG", color.RGBA{200, 0, 0, 255}, 8, 8, func(f *os.File, m image.Image) error { return jpeg.Encode(f, m, nil) })
	picture("blue/1.png", color.RGBA{0, 0, 100, 255}, 4, 4, asPNG)
	os.WriteFile(filepath.Join(dir, "red", "notes.txt"), []byte("x"), 0o644)
	os.MkdirAll(filepath.Join(dir, "empty"), 0o755)
	m, err := OpenImages(dir, 3, 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m.Len() != 3 || !reflect.DeepEqual(m.Classes, []string{"blue", "red"}) {
		t.Fatalf("%d images of %v", m.Len(), m.Classes)
	}
	x := make([]float32, m.Size())
	for i, want := range [][3]float32{{0, 0, 100}, {200, 0, 0}, {200, 0, 0}} {
		if _, err := m.Read(i, x); err != nil {
			t.Fatal(err)
		}
		for c := range 3 {
			for _, v := range x[c*16:][:16] {
				if math.Abs(float64(v-want[c])) > 2 { // JPEG is not exact
					t.Fatalf("image %d, channel %d has %g, expected %g", i, c, v, want[c])
				}
			}
		}
	}
	grey, err := OpenImages(dir, 1, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := grey.Read(1, x); err != nil || math.Abs(float64(x[0])-0.299*200) > 1 {
		t.Errorf("red is %g in grey (%v)", x[0], err)
	}
	for name, content := range map[string][]byte{"cut.png": nil, "huge.png": hugePNG()} {
		if content == nil {
			whole, _ := os.ReadFile(filepath.Join(dir, "red", "1.png"))
			content = whole[:40]
		}
		broken := t.TempDir()
		os.MkdirAll(filepath.Join(broken, "a"), 0o755)
		os.WriteFile(filepath.Join(broken, "a", name), content, 0o644)
		m, err := OpenImages(broken, 3, 4, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Read(0, x); !errors.Is(err, ErrImages) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenImages(t.TempDir(), 3, 4, nil); !errors.Is(err, ErrImages) {
		t.Errorf("an empty folder: %v", err)
	}
}

// hugePNG says that it has 60000 x 60000 pixels.
func hugePNG() []byte {
	var b bytes.Buffer
	png.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1)))
	x := b.Bytes()
	binary.BigEndian.PutUint32(x[16:], 60000)
	binary.BigEndian.PutUint32(x[20:], 60000)
	// The header's checksum, over type and content.
	binary.BigEndian.PutUint32(x[29:], crc32.ChecksumIEEE(x[12:29]))
	return x
}

func TestImageBatches(t *testing.T) {
	m, err := OpenImages(temporary(t, "a.csv", []byte(digits(23))), 1, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	mean, std, err := m.Moments()
	if err != nil || math.Abs(mean[0]-15) > 1e-9 || math.Abs(std[0]-math.Sqrt(22*24/12.0+80/12.0)) > 1e-9 {
		t.Errorf("mean %v, std %v (%v)", mean, std, err)
	}
	n := Normalise{m.Rescale, mean, std}
	b, err := NewImageBatches(m, n, Augment{Shift: 1, Flip: true}, 4, Cursor{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int32]int{}
	var saved Cursor
	var after [][]float32
	for i := range 23 { // four passes
		if i == 9 {
			saved = b.Cursor()
		}
		x, err := b.Next()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range x.Targets {
			seen[c]++
		}
		if i >= 9 {
			after = append(after, append([]float32(nil), x.Pixels...))
		}
	}
	if !reflect.DeepEqual(seen, map[int32]int{0: 24, 1: 24, 2: 24, 3: 20}) {
		t.Errorf("four passes show the classes %v", seen)
	}
	r, err := NewImageBatches(m, n, Augment{Shift: 1, Flip: true}, 4, saved)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range after {
		if x, _ := r.Next(); !reflect.DeepEqual(x.Pixels, want) {
			t.Fatalf("batch %d behind the cursor differs", i)
		}
	}
	if err := r.Seek(Cursor{Index: 24}); err == nil {
		t.Error("a cursor behind the last image")
	}

	// In order, each once, and what is left over does not count.
	count := 0
	for x, err := range m.Batches(Normalise{1, []float64{1}, []float64{2}}, 5, 0) {
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range x.Targets {
			if c < 0 {
				continue
			}
			if want := (float32(count) - 1) / 2; x.Pixels[9*i] != want || int(c) != count%4 {
				t.Fatalf("image %d begins with %g, expected %g", count, x.Pixels[9*i], want)
			}
			count++
		}
	}
	if count != 23 {
		t.Errorf("%d images", count)
	}
	train, held := m.Split(0.3, 1)
	if train.Len() != 17 || held.Len() != 6 {
		t.Errorf("%d to learn from, %d held out", train.Len(), held.Len())
	}
	all := map[int32]bool{}
	for _, i := range append(append([]int32(nil), train.which...), held.which...) {
		all[i] = true
	}
	if len(all) != 23 {
		t.Errorf("the parts have %d images", len(all))
	}
	if s, err := m.Sample(n, 100, 1); err != nil || s.N != 23 || s.Predicted() != 23 {
		t.Errorf("a sample of %d (%v)", s.N, err)
	}
}

// TestChange: what moves in is 0, and flipping mirrors.
func TestChange(t *testing.T) {
	m, err := ReadCSV(strings.NewReader("1,2,3,4,0\n"), 4)
	if err != nil {
		t.Fatal(err)
	}
	m.Channels, m.Side, m.which = 1, 2, []int32{0}
	b, err := NewImageBatches(m, Normalise{1, []float64{0}, []float64{1}}, Augment{Shift: 1, Flip: true}, 1, Cursor{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for range 400 {
		x, _ := b.Next()
		got[fmt.Sprint(x.Pixels)] = true
	}
	for _, want := range []string{"[1 2 3 4]", "[2 1 4 3]", "[0 1 0 3]", "[0 2 0 4]", "[3 4 0 0]", "[0 0 1 2]", "[0 0 0 1]"} {
		if !got[want] {
			t.Errorf("%s never comes: %v", want, got)
		}
	}
	if len(got) != 18 { // nine places, two ways round; all pixels differ
		t.Errorf("%d different images, expected 18: %v", len(got), got)
	}
}

func TestUnder(t *testing.T) {
	m, _ := ReadCSV(strings.NewReader("1,cat\n2,ant\n"), 1)
	if err := m.Under([]string{"bee", "cat", "ant"}); err != nil || !reflect.DeepEqual(m.labels, []int32{1, 2}) {
		t.Errorf("%v (%v)", m.labels, err)
	}
	if err := m.Under([]string{"cat"}); !errors.Is(err, ErrImages) {
		t.Errorf("an unknown class: %v", err)
	}
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte(digits(3)))
	f.Add([]byte("1,2,3,4,5,6,7,8,9,cat\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ReadCSV(bytes.NewReader(b), 9)
		sound(t, m, err, 9)
	})
}

func FuzzIDX(f *testing.F) {
	f.Add(idx([]uint32{1, 2, 2}, []byte{1, 2, 3, 4}), idx([]uint32{1}, []byte{7}))
	f.Fuzz(func(t *testing.T, images, labels []byte) {
		m, err := ReadIDX(bytes.NewReader(images), bytes.NewReader(labels), 2)
		sound(t, m, err, 4)
	})
}

// sound reports what no set of images may be.
func sound(t *testing.T, m *Images, err error, size int) {
	if err != nil {
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("error %q is no line", err)
		}
		return
	}
	x := make([]float32, size)
	for i, l := range m.labels {
		if l < 0 || int(l) >= len(m.Classes) {
			t.Fatalf("class %d of %d", l, len(m.Classes))
		}
		if err := m.read(i, x); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzPicture(f *testing.F) {
	var b bytes.Buffer
	png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 2)))
	f.Add(b.Bytes())
	b.Reset()
	jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 2)), nil)
	f.Add(b.Bytes())
	f.Add(hugePNG())
	f.Fuzz(func(t *testing.T, b []byte) {
		x := make([]float32, 12)
		if err := (frame{3, 2, nil}).read(bytes.NewReader(b), x); err != nil {
			return
		}
		for _, v := range x {
			if !(v >= 0 && v <= 255) {
				t.Fatalf("a pixel of %g", v)
			}
		}
	})
}

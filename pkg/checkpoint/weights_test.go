package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// rawTensor is a tensor of a file that a test writes by hand.
type rawTensor struct {
	name, dtype string
	shape       []int64
	data        []byte
}

func rawFile(t testing.TB, tensors ...rawTensor) []byte {
	t.Helper()
	entries := map[string]entry{}
	var data []byte
	for _, r := range tensors {
		entries[r.name] = entry{r.dtype, r.shape, [2]int64{int64(len(data)), int64(len(data) + len(r.data))}}
		data = append(data, r.data...)
	}
	text, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	return append(withHeader(string(text), 0), data...)
}

// f32 is a tensor of the numbers.
func f32(name string, values []float32, shape ...int64) rawTensor {
	b := make([]byte, 4*len(values))
	Encode(b, values, "F32")
	return rawTensor{name, "F32", shape, b}
}

func rootOf(t testing.TB, files map[string][]byte) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func count(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i + 1)
	}
	return v
}

// TestWeightsRoundTrip writes and reads every type, large enough for several
// chunks and both cores, mapped and not.
func TestWeightsRoundTrip(t *testing.T) {
	shapes := map[string][]int{"a": {40, 3, 700}, "b": {70001}, "c": {300, 400}, "d": {300, 200}}
	tensors := []Tensor{
		{Name: "x", Parts: []Part{{Param: "a", Perm: []int{2, 0, 1}}}, Rank: 2, Axis: 1},
		{Name: "y", Parts: []Part{{Param: "b", Perm: nil}}, Shape: []int{1, 70001}},
		{Name: "z", Parts: []Part{{Param: "c"}, {Param: "d"}}, Axis: 1},
	}
	for _, dtype := range []string{"F32", "F16", "BF16"} {
		set := fill(t, shapes, "a", "b", "c", "d")
		for i := range set.Weights.Data {
			set.Weights.Data[i] = float32(i%251-125) / 8
		}
		var b bytes.Buffer
		if err := WriteWeights(&b, set, tensors, dtype); err != nil {
			t.Fatal(err)
		}
		if n, err := WeightsSize(set, tensors, dtype); err != nil || n != int64(b.Len()) {
			t.Errorf("%s: %d bytes are foretold, %d written (%v)", dtype, n, b.Len(), err)
		}
		root := rootOf(t, map[string][]byte{weightsFile: b.Bytes()})
		back := fill(t, shapes, "a", "b", "c", "d")
		if err := ReadWeights(root, back, tensors, nil); err != nil {
			t.Fatal(err)
		}
		for _, p := range set.Params {
			if i := differ(back.Param(p.Name).Data(), p.Data()); i >= 0 {
				t.Errorf("%s: element %d of %s does not come back", dtype, i, p)
			}
		}
		byName, err := ReadTensors(root, weightsFile)
		if err != nil {
			t.Fatal(err)
		}
		for _, tn := range tensors {
			bound, err := tn.bind(set)
			if err != nil {
				t.Fatal(err)
			}
			if i := differ(byName[tn.Name], naive(set, tn, bound.shape)); i >= 0 {
				t.Errorf("%s: element %d of %s is elsewhere in the file", dtype, i, tn.Name)
			}
		}
		// The same without a mapping, as on systems that have none.
		w, err := openWeights(root)
		if err != nil {
			t.Fatal(err)
		}
		bound, err := bindAll(back, tensors)
		if err != nil {
			t.Fatal(err)
		}
		clear(back.Weights.Data)
		jobs, wrong := w.match(bound, nil)
		if len(jobs) != len(tensors) || len(wrong) > 0 {
			t.Fatalf("%d jobs, %q", len(jobs), wrong)
		}
		var buf buffers
		for _, j := range jobs {
			j.from.file = j.from.file.Unmapped()
			if err := buf.read(j); err != nil {
				t.Fatal(err)
			}
		}
		w.close()
		for _, p := range set.Params {
			if i := differ(back.Param(p.Name).Data(), p.Data()); i >= 0 {
				t.Errorf("%s, not mapped: element %d of %s does not come back", dtype, i, p)
			}
		}
	}
}

// TestHalves holds the 16-bit types against their definitions: every half number
// comes back, and rounding is to nearest even, half-way cases included.
func TestHalves(t *testing.T) {
	value := func(h uint16) float64 { // IEEE 754, by its definition
		exp, frac := int(h>>10&31), float64(h&1023)
		v := math.Ldexp(1024+frac, exp-25)
		if exp == 0 {
			v = math.Ldexp(frac, -24)
		}
		if h>>15 == 1 {
			v = -v
		}
		return v
	}
	for i := range 1 << 16 {
		h := uint16(i)
		if h&0x7c00 == 0x7c00 {
			if f := fromHalf(h); f-f == 0 {
				t.Errorf("%04x is %g, expected not finite", h, f)
			}
			continue
		}
		f := fromHalf(h)
		if float64(f) != value(h) || math.Signbit(float64(f)) != (h>>15 == 1) {
			t.Fatalf("%04x is %g, expected %g", h, f, value(h))
		}
		if got := toHalf(f); got != h {
			t.Fatalf("%g becomes %04x, expected %04x", f, got, h)
		}
		if h&0x7fff == 0x7bff {
			continue // the largest: its neighbour is infinity
		}
		next := fromHalf(h + 1)
		half := float32((float64(f) + float64(next)) / 2)
		even := h + h&1
		for x, want := range map[float32]uint16{half: even, math.Nextafter32(half, f): h, math.Nextafter32(half, next): h + 1} {
			if got := toHalf(x); got != want {
				t.Fatalf("%g becomes %04x, expected %04x", x, got, want)
			}
		}
		b := math.Float32frombits(uint32(h) << 16) // as bfloat16
		if b-b != 0 || math.Float32frombits(uint32(h+1)<<16)-b != math.Float32frombits(uint32(h+1)<<16)-b {
			continue
		}
		for x, want := range map[uint32]uint16{uint32(h) << 16: h, uint32(h)<<16 + 0x8000: h + h&1, uint32(h)<<16 + 0x7fff: h, uint32(h)<<16 + 0x8001: h + 1} {
			if got := toBF16(math.Float32frombits(x)); got != want {
				t.Fatalf("%08x becomes bfloat16 %04x, expected %04x", x, got, want)
			}
		}
	}
}

// TestNonFinite: what is not finite, or not in the type, is neither written nor read.
func TestNonFinite(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, r := range []struct {
		dtype string
		v     float32
		bad   bool
	}{
		{"F32", float32(math.NaN()), true}, {"F32", inf, true}, {"F32", -inf, true}, {"F32", math.MaxFloat32, false},
		{"F16", 65519, false}, {"F16", 65520, true}, {"F16", -65520, true}, {"F16", float32(math.NaN()), true},
		{"BF16", 3e38, false}, {"BF16", math.MaxFloat32, true}, {"BF16", inf, true}, {"BF16", float32(math.NaN()), true},
	} {
		for _, at := range []int{0, 3, 4, 6} {
			set := fill(t, map[string][]int{"a": {7}}, "a")
			set.Param("a").Data()[at] = r.v
			err := WriteWeights(&bytes.Buffer{}, set, []Tensor{{Name: "x", Parts: []Part{{Param: "a"}}}}, r.dtype)
			want := fmt.Sprintf("element %d of x is %g", at, r.v)
			if (err != nil) != r.bad || r.bad && (!errors.Is(err, ErrNonFinite) || !strings.Contains(err.Error(), want)) {
				t.Errorf("%g as %s: %v", r.v, r.dtype, err)
			}
		}
	}
	if err := WriteWeights(&bytes.Buffer{}, fill(t, map[string][]int{"a": {7}}, "a"), []Tensor{{Name: "x", Parts: []Part{{Param: "a"}}}}, "F64"); err == nil || !strings.Contains(err.Error(), `type "F64", expected F32, F16 or BF16`) {
		t.Errorf("F64: %v", err)
	}
	for _, r := range []rawTensor{
		{"x", "BF16", []int64{2}, []byte{0, 0, 0x80, 0x7f}}, {"x", "F16", []int64{2}, []byte{0, 0, 0, 0x7c}}, {"x", "F32", []int64{2}, []byte{0, 0, 0, 0, 1, 0, 0x80, 0x7f}},
	} {
		set := fill(t, map[string][]int{"a": {2}}, "a")
		err := ReadWeights(rootOf(t, map[string][]byte{weightsFile: rawFile(t, r)}), set, []Tensor{{Name: "x", Parts: []Part{{Param: "a"}}}}, nil)
		if !errors.Is(err, ErrNonFinite) || !strings.Contains(err.Error(), "element 1 of x") || !strings.Contains(err.Error(), weightsFile) {
			t.Errorf("a file with %s %x: %v", r.dtype, r.data, err)
		}
	}
}

var twoTensors = []Tensor{
	{Name: "m.x", Aliases: []string{"x"}, Parts: []Part{{Param: "a"}}, IfMissing: "look at x"},
	{Name: "m.y", Aliases: []string{"y"}, Parts: []Part{{Param: "b"}}, Optional: true},
}

func TestReadWeights(t *testing.T) {
	x, y := f32("m.x", count(6), 2, 3), f32("m.y", count(4), 4)
	alias := x
	alias.name = "x"
	index := func(m map[string]string) []byte {
		text, err := json.Marshal(map[string]any{"metadata": map[string]int{"total_size": 1}, "weight_map": m})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	s1, s2 := "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
	type files = map[string][]byte
	for _, r := range []struct {
		name  string
		files files
		want  string // "" loads
	}{
		{"plain", files{weightsFile: rawFile(t, x, y)}, ""},
		{"other order", files{weightsFile: rawFile(t, y, x)}, ""},
		{"alias", files{weightsFile: rawFile(t, alias, y)}, ""},
		{"optional", files{weightsFile: rawFile(t, x)}, ""},
		{"wrapped", files{weightsFile: rawFile(t, f32("_orig_mod.module.m.x", count(6), 2, 3), f32("_orig_mod.module.m.y", count(4), 4))}, ""},
		{"half wrapped", files{weightsFile: rawFile(t, x, f32("module.m.y", count(4), 4))}, `unexpected "module.m.y"`},
		{"ignored", files{weightsFile: rawFile(t, x, y, rawTensor{"h.0.attn.bias", "BOOL", []int64{3}, []byte{1, 0, 1}})}, ""},
		{"sharded", files{indexFile: index(map[string]string{"m.x": s1, "m.y": s2}), s1: rawFile(t, x), s2: rawFile(t, y)}, ""},
		{"missing", files{weightsFile: rawFile(t, y)}, "missing m.x: look at x"},
		{"unexpected", files{weightsFile: rawFile(t, x, f32("z", count(1), 1))}, `unexpected "z"`},
		{"both names", files{weightsFile: rawFile(t, x, alias)}, `unexpected "x"`},
		{"shape", files{weightsFile: rawFile(t, f32("m.x", count(6), 3, 2))}, `"m.x" has shape [3 2], expected [2 3]`},
		{"rank", files{weightsFile: rawFile(t, f32("m.x", count(6), 6))}, `"m.x" has shape [6], expected [2 3]`},
		{"type", files{weightsFile: rawFile(t, rawTensor{"m.x", "I32", []int64{2, 3}, make([]byte, 24)})}, `"m.x" has type I32, expected F32, F16 or BF16`},
		{"types", files{weightsFile: rawFile(t, rawTensor{"m.y", "F64", []int64{4}, make([]byte, 32)}, rawTensor{"m.x", "F64", []int64{2, 3}, make([]byte, 48)})}, `2 tensors, "m.x" first, have type F64, expected F32, F16 or BF16`},
		{"all at once", files{weightsFile: rawFile(t, f32("m.y", count(3), 3), f32("z", count(1), 1))}, `"m.y" has shape [3], expected [4]; missing m.x; unexpected "z"`},
		{"nothing", files{}, "neither model.safetensors nor model.safetensors.index.json"},
		{"pickle", files{"pytorch_model.bin": nil}, "pytorch_model.bin runs code"},
		{"not safetensors", files{weightsFile: []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")}, "git-lfs"},
		{"web page", files{weightsFile: []byte("\n<!DOCTYPE HTML><html><body>401 Unauthorized")}, "a web page stands here"},
		{"other names", files{"consolidated.safetensors": rawFile(t, x), "a.safetensors": rawFile(t, y)}, "holds a.safetensors; consolidated.safetensors"},
		{"index is no JSON", files{indexFile: []byte("[")}, "found a list, expected an object"},
		{"index without map", files{indexFile: []byte(`{"metadata":{}}`)}, "no weight_map"},
		{"index map is a list", files{indexFile: []byte(`{"weight_map":[]}`)}, "weight_map: found a list"},
		{"index twice", files{indexFile: []byte(`{"weight_map":{"a":"b.safetensors","a":"c.safetensors"}}`)}, `weight_map: key "a" appears twice`},
		{"index number", files{indexFile: []byte(`{"weight_map":{"a":1}}`)}, `"a" is 1, expected text`},
		{"index above", files{indexFile: index(map[string]string{"m.x": "../" + s1})}, "expected the name of a .safetensors file of the same directory"},
		{"index absolute", files{indexFile: index(map[string]string{"m.x": "/etc/passwd"})}, "expected the name of a .safetensors file"},
		{"index elsewhere", files{indexFile: index(map[string]string{"m.x": "passwd"})}, "expected the name of a .safetensors file"},
		{"index backslash", files{indexFile: index(map[string]string{"m.x": `..\x.safetensors`})}, "expected the name of a .safetensors file"},
		{"shard missing", files{indexFile: index(map[string]string{"m.x": s1, "m.y": s2}), s1: rawFile(t, x)}, s2 + ": no such file"},
		{"shard lacks", files{indexFile: index(map[string]string{"m.x": s1, "m.y": s1}), s1: rawFile(t, x)}, `index.json lists "m.y" in ` + s1 + ", which does not hold it"},
		{"in two shards", files{indexFile: index(map[string]string{"m.x": s1, "m.y": s2}), s1: rawFile(t, x), s2: rawFile(t, x, y)}, `tensor "m.x" is in another file`},
		{"shard damaged", files{indexFile: index(map[string]string{"m.x": s1}), s1: []byte("damaged!")}, "a header of"},
	} {
		set := fill(t, map[string][]int{"a": {2, 3}, "b": {4}}, "a", "b")
		clear(set.Param("b").Data())
		if r.name == "optional" {
			copy(set.Param("b").Data(), count(4)) // stays
		}
		clear(set.Param("a").Data())
		root := rootOf(t, r.files)
		err := ReadWeights(root, set, twoTensors, []string{"*.attn.bias"})
		if r.want == "" {
			if err != nil || differ(set.Param("a").Data(), count(6)) >= 0 || differ(set.Param("b").Data(), count(4)) >= 0 {
				t.Errorf("%s: %v, weights %v", r.name, err, set.Weights.Data)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), r.want) || !strings.Contains(err.Error(), root.Name()) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, expected %q", r.name, err, r.want)
		}
		for _, v := range set.Param("a").Data() {
			if v != 0 {
				t.Errorf("%s: weights are read in spite of the error", r.name)
				break
			}
		}
	}
	// A long list of names is cut.
	var many []rawTensor
	for i := range 50 {
		many = append(many, f32(fmt.Sprint("extra.", i), nil, 0))
	}
	err := ReadWeights(rootOf(t, files{weightsFile: rawFile(t, many...)}), fill(t, map[string][]int{"a": {2, 3}, "b": {4}}, "a", "b"), twoTensors, nil)
	if err == nil || !strings.Contains(err.Error(), "and 43 more") || len(err.Error()) > 600 {
		t.Errorf("many names: %v", err)
	}
}

// TestReadModelFiles: nothing outside of the directory is read, whatever a file is.
func TestReadModelFiles(t *testing.T) {
	outside := filepath.Join(t.TempDir(), weightsFile)
	if err := os.WriteFile(outside, rawFile(t, f32("m.x", count(6), 2, 3)), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]struct {
		make func(path string) error
		want string
	}{
		"a link out":          {func(p string) error { return os.Symlink(outside, p) }, "path escapes from parent"},
		"a relative link out": {func(p string) error { return os.Symlink("../../../../../../../../etc/passwd", p) }, "path escapes from parent"},
		"a directory":         {func(p string) error { return os.Mkdir(p, 0o755) }, "not a regular file"},
		"a pipe":              {makePipe, "not a regular file"},
		"a link to itself":    {func(p string) error { return os.Symlink(filepath.Base(p), p) }, "too many"},
	} {
		dir := t.TempDir()
		if err := errors.Join(r.make(filepath.Join(dir, weightsFile)), r.make(filepath.Join(dir, configFile))); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		werr := ReadWeights(root, fill(t, map[string][]int{"a": {2, 3}, "b": {4}}, "a", "b"), twoTensors, nil)
		_, cerr := ReadModel(root)
		for _, err := range []error{werr, cerr} {
			if err == nil || !strings.Contains(err.Error(), r.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s: %v, expected %q", name, err, r.want)
			}
		}
		root.Close()
	}
	// A link that stays inside is followed: a run directory is made of them.
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "w"), rawFile(t, f32("m.x", count(6), 2, 3)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("w", filepath.Join(dir, weightsFile)); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := ReadWeights(root, fill(t, map[string][]int{"a": {2, 3}, "b": {4}}, "a", "b"), twoTensors, nil); err != nil {
		t.Error(err)
	}
}

// FuzzWeights reads any bytes as a model's weights: an error, or the whole set.
func FuzzWeights(f *testing.F) {
	f.Add(rawFile(f, f32("m.x", count(6), 2, 3), f32("m.y", count(4), 4)))
	f.Add(rawFile(f, rawTensor{"x", "BF16", []int64{2, 3}, make([]byte, 12)}))
	f.Add(rawFile(f, rawTensor{"x", "F16", []int64{2, 3}, make([]byte, 12)}))
	set, err := param.New([]param.Spec{{Name: "a", Dims: []param.Dim{{Size: 2}, {Size: 3}}}, {Name: "b", Dims: []param.Dim{{Size: 4}}}})
	if err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, weightsFile), b, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := ReadWeights(root, set, twoTensors, nil); err == nil && nonFinite(set.Weights.Data) >= 0 {
			t.Error("a number that is not finite is accepted")
		}
	})
}

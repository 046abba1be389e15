package gguf

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// matrix is a tensor of random numbers, and the numbers.
func matrix(name, dtype string, shape ...int) (Tensor, []float32) {
	rng := rand.New(rand.NewPCG(uint64(len(name)), 7))
	s := checkpoint.Stream{Name: name, Shape: shape}
	all := make([]float32, s.Elements())
	for i := range all {
		all[i] = float32(rng.NormFloat64())
	}
	width := len(all) / shape[0]
	s.Fill = func(dst []float32, lo, hi int) { copy(dst, all[lo*width:hi*width]) }
	return Tensor{s, dtype}, all
}

// sample is a small file with every kind of value and type.
func sample(t testing.TB) ([]byte, []KV, map[string][]float32) {
	t.Helper()
	kvs := []KV{
		{"general.architecture", "test"}, {"u", uint32(7)}, {"i", int32(-7)}, {"f", float32(0.5)}, {"b", true},
		{"us", []uint32{1, 2}}, {"is", []int32{-1, 2, 3}}, {"fs", []float32{0.25}}, {"ss", []string{"", "ä", "long"}},
	}
	var tensors []Tensor
	values := map[string][]float32{}
	for _, d := range []string{"F32", "F16", "BF16", "Q8_0"} {
		x, v := matrix("m."+d, d, 5, 64)
		tensors, values[x.Name] = append(tensors, x), v
	}
	x, v := matrix("vector", "F32", 3)
	tensors, values[x.Name] = append(tensors, x), v
	var b bytes.Buffer
	if err := Write(&b, kvs, tensors); err != nil {
		t.Fatal(err)
	}
	if n, err := Size(kvs, tensors); err != nil || n != int64(b.Len()) {
		t.Fatalf("Size says %d, %v; written %d", n, err, b.Len())
	}
	return b.Bytes(), kvs, values
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	text, kvs, values := sample(t)
	f, err := Read(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range kvs {
		if !reflect.DeepEqual(f.Keys[kv.Key], kv.Value) {
			t.Errorf("%s: %v, expected %v", kv.Key, f.Keys[kv.Key], kv.Value)
		}
	}
	// Half of the distance between neighbours: relative for the floating types,
	// of a block's largest element (below 4 here) for Q8_0, and its scale's 2^-11.
	half := map[string]float64{"F32": 0, "F16": 0x1p-11, "BF16": 0x1p-8, "Q8_0": 0.5/127 + 0x1p-11}
	for name, want := range values {
		got := make([]float32, len(want))
		if err := f.Rows(name, got, 0); err != nil {
			t.Fatal(err)
		}
		dtype := f.Tensors[name].DType
		for i := range want {
			scale := math.Abs(float64(want[i])) + 1e-7
			if dtype == "Q8_0" {
				scale = 4
			}
			if d := math.Abs(float64(got[i] - want[i])); d > half[dtype]*scale {
				t.Fatalf("%s[%d] is %g, expected %g", name, i, got[i], want[i])
			}
		}
		part := make([]float32, 32)
		if len(want) > 64 {
			if err := f.Rows(name, part, 64); err != nil || !reflect.DeepEqual(part, got[64:96]) {
				t.Errorf("%s from 64 on: %v", name, err)
			}
		}
	}
	if err := f.Rows("vector", make([]float32, 2), 2); err == nil {
		t.Error("rows behind the end were read")
	}
}

func TestWriteRefuses(t *testing.T) {
	odd, _ := matrix("odd", "Q8_0", 2, 33)
	kind, _ := matrix("kind", "Q4", 2, 32)
	inf, v := matrix("inf", "F16", 2, 32)
	v[40] = 1e6
	for _, c := range []struct {
		kv   []KV
		t    []Tensor
		want string
	}{
		{nil, []Tensor{odd}, "multiple of 32"}, {nil, []Tensor{kind}, `type "Q4"`}, {nil, []Tensor{inf}, "element 40 of inf is 1e+06"},
		{[]KV{{"k", 7}}, nil, "key k: a value of type int"},
	} {
		if err := Write(&bytes.Buffer{}, c.kv, c.t); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, expected %q", err, c.want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	text, _, _ := sample(t)
	change := func(f func([]byte) []byte) []byte { return f(append([]byte(nil), text...)) }
	put := func(at int, b ...byte) []byte { return change(func(x []byte) []byte { copy(x[at:], b); return x }) }
	vector := bytes.Index(text, []byte("vector")) + len("vector")
	big := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"empty":             {nil, "cut short"},
		"another format":    {put(0, 'G', 'G', 'M', 'L'), `begins with "GGML"`},
		"another version":   {put(4, 9), "version 9"},
		"tensors":           {put(8, big...), "tensors, expected at most"},
		"keys":              {put(16, big...), "keys, expected at most"},
		"key's length":      {put(24, big...), "characters, expected at most"},
		"dimensions":        {put(vector, 9), "9 dimensions"},
		"a dimension":       {put(vector+4, big...), "dimension of"},
		"a dimension of 0":  {put(vector+4, 0), "dimension of 0"},
		"type":              {put(vector+12, 99), "type 99"},
		"offset":            {put(vector+16, 1), "expected to begin at"},
		"cut in the data":   {text[:len(text)-64], "end at most at"},
		"cut in the header": {text[:vector], "cut short"},
		"twice":             {change(func(b []byte) []byte { return bytes.Replace(b, []byte("m.BF16"), []byte("vector"), 1) }), `tensor "vector" twice`},
	} {
		if _, err := Read(bytes.NewReader(c.text), int64(len(c.text))); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, expected ErrFormat with %q", name, err, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	text, _, _ := sample(f)
	f.Add(text)
	f.Add(text[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("%v is no ErrFormat", err)
			}
			return
		}
		for name, info := range file.Tensors {
			n := checkpoint.Stream{Shape: info.Shape}.Elements()
			if err := file.Rows(name, make([]float32, n), 0); err != nil {
				t.Fatalf("%s, which the header vouches for: %v", name, err)
			}
		}
	})
}

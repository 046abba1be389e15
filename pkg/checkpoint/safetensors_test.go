package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// withHeader is a file of a header's text and so many bytes of data.
func withHeader(text string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	return append(append(b, text...), make([]byte, data)...)
}

// hostile is headers that must be refused, with what the message says.
var hostile = []struct {
	name, header string
	data         int
	want         string
}{
	{"no object", `[]`, 0, "found a list, expected an object"},
	{"text", `"x"`, 0, `found "x", expected an object`},
	{"empty", `  `, 0, "EOF"},
	{"cut", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`, 4, "JSON"},
	{"more", `{}{}`, 0, "2 bytes follow the object"},
	{"twice", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4, `key "a" appears twice`},
	{"twice inside", `{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}`, 4, `tensor "a": key "dtype" appears twice`},
	{"wrong case", `{"a":{"DTYPE":"F32","shape":[1],"data_offsets":[0,4]}}`, 4, `tensor "a": unknown key "DTYPE"`},
	{"no dtype", `{"a":{"shape":[1],"data_offsets":[0,4]}}`, 4, `tensor "a": no dtype`},
	{"no shape", `{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4, `tensor "a": no shape`},
	{"no offsets", `{"a":{"dtype":"F32","shape":[1]}}`, 4, `tensor "a": no data_offsets`},
	{"null", `{"a":null}`, 0, `tensor "a": found null, expected an object`},
	{"null shape", `{"a":{"dtype":"F32","shape":null,"data_offsets":[0,4]}}`, 4, `shape is null, expected a list`},
	{"dtype", `{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}`, 4, `dtype is "F31", which is not a type of safetensors`},
	{"dtype number", `{"a":{"dtype":7,"shape":[1],"data_offsets":[0,4]}}`, 4, "dtype is 7"},
	{"negative", `{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4, `shape holds "-1", expected a whole number`},
	{"fraction", `{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, 4, `shape holds "1.5"`},
	{"huge number", `{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}`, 4, "expected a whole number"},
	{"text number", `{"a":{"dtype":"F32","shape":["1e"],"data_offsets":[0,4]}}`, 4, "something else than a number"},
	{"nested shape", `{"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}}`, 4, "something else than a number"},
	{"rank", `{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}`, 4, "shape has more than 8 numbers"},
	{"overflow", `{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]}}`, 4, "more than 2^63 bytes"},
	{"shape and size", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4, "needs 8 bytes and has bytes 0 to 4 of 4"},
	{"one offset", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}`, 4, "data_offsets has 1 numbers, expected 2"},
	{"three offsets", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}`, 4, "data_offsets has more than 2 numbers"},
	{"outside", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 4, "has bytes 4 to 8 of the data, but the file ends after 4"},
	{"backwards", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}`, 8, "has bytes 8 to 4"},
	{"gap", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8, `tensor "a" begins at byte 4 of the data, expected 0`},
	{"overlap", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12, `tensor "b" begins at byte 4 of the data, expected 8`},
	{"same place", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4, "begins at byte 0 of the data, expected 4"},
	{"trailing data", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 5, "1 bytes of data belong to no tensor"},
	{"metadata list", `{"__metadata__":[1]}`, 0, "__metadata__: found a list, expected an object"},
	{"metadata number", `{"__metadata__":{"a":1}}`, 0, `__metadata__: "a" is 1, expected text`},
	{"metadata twice", `{"__metadata__":{"a":"b","a":"c"}}`, 0, `__metadata__: key "a" appears twice`},
	{"deep", strings.Repeat(`{"a":`, 20000), 0, `tensor "a": unknown key "a"`},
	{"deep shape", `{"a":{"dtype":"F32","shape":` + strings.Repeat("[", 20000), 0, "number"},
	{"control bytes", "{\"\x00\":1}", 0, "JSON"},
	{"a line in a name", `{"a\nb":{"dtype":"F31"}}`, 0, `tensor "a\nb": dtype`},
}

func TestHeaderRefuses(t *testing.T) {
	for _, r := range hostile {
		b := withHeader(r.header, r.data)
		_, _, err := parseHeader(bytes.NewReader(b), int64(len(b)))
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), r.want) {
			t.Errorf("%s: %v, expected %q", r.name, err, r.want)
		}
		if err != nil && (strings.Contains(err.Error(), "\n") || len(err.Error()) > 400) {
			t.Errorf("%s: the message is no line: %q", r.name, err)
		}
	}
	for name, b := range map[string][]byte{
		"nothing":       nil,
		"seven bytes":   make([]byte, 7),
		"no header":     make([]byte, 8),
		"one byte":      append(binary.LittleEndian.AppendUint64(nil, 1), '{'),
		"longer":        append(binary.LittleEndian.AppendUint64(nil, 100), "{}"...),
		"all ones":      bytes.Repeat([]byte{0xff}, 16),
		"hundred MB":    append(binary.LittleEndian.AppendUint64(nil, maxHeader+1), "{}"...),
		"sign bit":      append(binary.LittleEndian.AppendUint64(nil, 1<<63), "{}"...),
		"a zip archive": append([]byte("PK\x03\x04"), make([]byte, 60)...),
	} {
		if _, _, err := parseHeader(bytes.NewReader(b), int64(len(b))); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeaderAccepts(t *testing.T) {
	for name, r := range map[string]struct {
		header string
		data   int
		n      int
	}{
		"empty":       {`{}`, 0, 0},
		"padded":      {`{}      `, 0, 0},
		"metadata":    {`{"__metadata__":{"format":"pt"}}`, 0, 0},
		"scalar":      {`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4, 1},
		"no elements": {`{"a":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]},"b":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}}`, 2, 2},
		"any order":   {`{"b":{"data_offsets":[8,10],"shape":[1],"dtype":"BF16"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 10, 2},
		"huge empty":  {`{"a":{"dtype":"F32","shape":[0,4611686018427387904,8],"data_offsets":[0,0]}}`, 0, 1},
	} {
		b := withHeader(r.header, r.data)
		entries, base, err := parseHeader(bytes.NewReader(b), int64(len(b)))
		if err != nil || len(entries) != r.n || base != int64(8+len(r.header)) {
			t.Errorf("%s: %d tensors at %d, %v", name, len(entries), base, err)
		}
	}
}

// TestHeaderMemory holds that a hostile header costs no more than a small
// multiple of its own size: many tensors, long lists, long names.
func TestHeaderMemory(t *testing.T) {
	var many strings.Builder
	many.WriteString("{")
	for i := range 40000 {
		fmt.Fprintf(&many, `"%x":{"dtype":"I8","shape":[],"data_offsets":[%d,%d]},`, i, i, i+1)
	}
	var keys strings.Builder
	for i := range 200000 {
		fmt.Fprintf(&keys, `"%x":"",`, i)
	}
	for name, text := range map[string]string{
		"many tensors":  strings.TrimSuffix(many.String(), ",") + "}",
		"long list":     `{"a":{"dtype":"F32","shape":[` + strings.Repeat("0,", 1<<20),
		"long name":     `{"` + strings.Repeat("x", 2<<20) + `":1}`,
		"long metadata": `{"__metadata__":{` + keys.String(),
		"long dtype":    `{"a":{"dtype":"` + strings.Repeat("x", 2<<20) + `"}}`,
		"deep":          strings.Repeat(`{"a":`, 400000),
	} {
		b := withHeader(text, 40000)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := parseHeader(bytes.NewReader(b), int64(len(b)))
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 40*uint64(len(b)) { // all that was ever allocated; held at once is a fifth of it
			t.Errorf("%s: %d bytes are allocated for %d (%v)", name, used, len(b), err)
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, r := range hostile {
		if len(r.header) < 1000 {
			f.Add(withHeader(r.header, r.data))
		}
	}
	f.Add(withHeader(`{"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}}`, 10))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, base, err := parseHeader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			if !errors.Is(err, ErrFormat) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q", err)
			}
			return
		}
		// What is accepted shares out the data exactly.
		data := int64(len(b)) - base
		sum := int64(0)
		for name, e := range entries {
			n, ok := e.bytes()
			if !ok || e.Offsets[0] < 0 || e.Offsets[0]+n != e.Offsets[1] || e.Offsets[1] > data {
				t.Errorf("%q: %+v of %d bytes", name, e, data)
			}
			sum += n
		}
		if sum != data {
			t.Errorf("%d bytes of %d belong to tensors", sum, data)
		}
	})
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":1},"weight_map":{"a":"model-1.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"../x.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"C:x.safetensors","b":"a\\b.safetensors"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		shards, err := parseIndex(b)
		if err != nil {
			return
		}
		for file := range shards {
			if strings.ContainsAny(file, `/\:`) || !strings.HasSuffix(file, ".safetensors") {
				t.Errorf("file %q is accepted", file)
			}
		}
	})
}

func FuzzManifest(f *testing.F) {
	m, err := Manifest{Version: 1, Step: 3, Sequence: 2, Files: map[string]Digest{"a": {1, "b"}}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m)
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b)
		if err != nil {
			return
		}
		if again, err := m.encode(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q is taken for %q (%v)", b, again, err)
		}
	})
}

package bundle

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
)

// held is what the process holds outside of the Go heap: open files, mapped files and
// anonymous memory in bytes.
type held struct {
	files, maps int
	bytes       int64
}

func holding(t *testing.T) held {
	t.Helper()
	var h held
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	h.files = len(open)
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch {
		case len(f) > 5 && strings.HasPrefix(f[5], os.TempDir()):
			h.maps++
		case len(f) == 5 && strings.HasPrefix(f[1], "rw") && !strings.HasPrefix(f[0], "c0"): // the Go heap begins with c0
			lo, hi, _ := strings.Cut(f[0], "-")
			a, err1 := strconv.ParseUint(lo, 16, 64)
			z, err2 := strconv.ParseUint(hi, 16, 64)
			if err1 != nil || err2 != nil {
				t.Fatalf("/proc/self/maps: %s", line)
			}
			h.bytes += int64(z - a)
		}
	}
	return h
}

// hostile are directories that cannot be opened, one for each thing that Open reads:
// what is done to a sound one, and what the message must name.
var hostile = []struct {
	name  string
	spoil func(t *testing.T, dir string)
	says  string
}{
	{"a config that is no JSON", func(t *testing.T, dir string) { put(t, dir, "config.json", "{") }, "config.json"},
	{"an unknown family", func(t *testing.T, dir string) { edit(t, dir, "config.json", `"llama"`, `"nobody"`) }, "nobody"},
	{"no config", func(t *testing.T, dir string) { remove(t, dir, "config.json") }, "config.json"},
	{"no weights", func(t *testing.T, dir string) { remove(t, dir, "model.safetensors") }, "model.safetensors"},
	{"weights that are no file", func(t *testing.T, dir string) {
		remove(t, dir, "model.safetensors")
		put(t, dir, "model.safetensors/x", "")
	}, "model.safetensors"},
	{"a damaged header", func(t *testing.T, dir string) { overwrite(t, dir, "model.safetensors", 0, []byte{255}) }, "model.safetensors"},
	{"weights cut short", func(t *testing.T, dir string) {
		st, err := os.Stat(filepath.Join(dir, "model.safetensors"))
		if err == nil {
			err = os.Truncate(filepath.Join(dir, "model.safetensors"), st.Size()-64)
		}
		if err != nil {
			t.Fatal(err)
		}
	}, "model.safetensors"},
	{"a number that is not finite", func(t *testing.T, dir string) {
		overwrite(t, dir, "model.safetensors", -4, binary.LittleEndian.AppendUint32(nil, 0x7fc00000))
	}, "finite"},
	{"other shapes", func(t *testing.T, dir string) {
		edit(t, dir, "config.json", `"ffn": 256`, `"ffn": 192`)
	}, "expected [192 256]"},
	{"a shard that is missing", func(t *testing.T, dir string) {
		remove(t, dir, "model.safetensors")
		put(t, dir, "model.safetensors.index.json", `{"weight_map":{"model.norm.weight":"a.safetensors"}}`)
	}, "a.safetensors"},
	{"a damaged tokenizer", func(t *testing.T, dir string) { put(t, dir, "tokenizer.json", "{") }, "tokenizer.json"},
	{"a tokenizer of another model", func(t *testing.T, dir string) {
		edit(t, dir, "config.json", `"vocab_size": 270`, `"vocab_size": 200`)
	}, "256 ids"},
	{"damaged tokenizer settings", func(t *testing.T, dir string) { put(t, dir, "tokenizer_config.json", "[]") }, "tokenizer_config.json"},
	{"damaged generation settings", func(t *testing.T, dir string) { put(t, dir, "generation_config.json", "[") }, "generation_config.json"},
	{"ends that are no ids", func(t *testing.T, dir string) {
		put(t, dir, "generation_config.json", `{"eos_token_id":"two"}`)
	}, "generation_config.json"},
	{"damaged adapters", func(t *testing.T, dir string) { put(t, dir, "adapter_config.json", "{") }, "adapter_config.json"},
	{"adapters without a rank", func(t *testing.T, dir string) { put(t, dir, "adapter_config.json", `{"lora":{}}`) }, "rank"},
	{"adapters without their numbers", func(t *testing.T, dir string) {
		put(t, dir, "adapter_config.json", `{"lora":{"Rank":2}}`)
	}, "adapters.f32"},
	{"adapters of another rank", func(t *testing.T, dir string) {
		put(t, dir, "adapter_config.json", `{"lora":{"Rank":2}}`)
		put(t, dir, "adapters.f32", "1234")
	}, "adapters.f32"},
	{"adapters of a model that is gone", func(t *testing.T, dir string) {
		put(t, dir, "adapter_config.json", `{"base_model_name_or_path":"../gone","lora":{"Rank":2}}`)
	}, "gone"},
	{"adapters of a model without theirs", func(t *testing.T, dir string) {
		put(t, dir, "a/adapter_config.json", `{"base_model_name_or_path":"..","lora":{"Rank":2}}`)
	}, "a: neither model.safetensors"},
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// overwrite puts bytes into a file, from its end when at is negative.
func overwrite(t *testing.T, dir, name string, at int, b []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		at += len(text)
	}
	copy(text[at:], b)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestNothingLeaks opens, many times over, what can and what cannot be opened: files
// stay closed and memory goes back on every path.
func TestNothingLeaks(t *testing.T) {
	const times = 12
	check := func(name string, once func()) {
		t.Helper()
		once() // what is made once and kept is no leak
		before := holding(t)
		for range times {
			once()
		}
		after := holding(t)
		if after.files > before.files || after.maps > before.maps || after.bytes-before.bytes > times/2*(4<<20) {
			t.Errorf("%s: before %+v, after %d times %+v", name, before, times, after)
		}
	}
	for _, h := range hostile {
		dir := saved(t, small, nil)
		h.spoil(t, dir)
		at := dir
		if _, err := os.Stat(filepath.Join(dir, "a")); err == nil {
			at = filepath.Join(dir, "a")
		}
		check(h.name, func() {
			b, err := Open(at, Options{})
			if err == nil {
				b.Close()
				t.Fatalf("%s was opened", h.name)
			}
			if !strings.Contains(err.Error(), h.says) || fault.Of(err) != fault.Input || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%s: the message is %q (kind %d), expected one line about the input that names %q", h.name, err, fault.Of(err), h.says)
			}
		})
	}
	plain := saved(t, small, nil)
	c := model.LoRA{Rank: 2}
	alone := filepath.Join(t.TempDir(), "a")
	src := drawn(t, small)
	files, err := src.AdapterDir(adapters(t, src, c), plain)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.WriteDir(alone, files); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{"weights": {}, "shapes": {ShapesOnly: true}, "adapters kept": {KeepAdapters: true}} {
		for _, dir := range []string{plain, alone} {
			check(name, func() {
				b, err := Open(dir, o)
				if err != nil {
					t.Fatal(err)
				}
				b.Close()
				b.Close()
			})
		}
	}
	for _, path := range []string{filepath.Join(plain, "none"), filepath.Join(plain, "config.json"), t.TempDir()} {
		check(path, func() {
			if _, err := Open(path, Options{}); fault.Of(err) != fault.Input {
				t.Fatalf("%s: %v", path, err)
			}
		})
	}
}

// TestTheMeterSees shows that a leak would be found.
func TestTheMeterSees(t *testing.T) {
	dir := saved(t, small, nil)
	before := holding(t)
	for range 4 {
		b, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if after := holding(t); after.files != before.files+1 || after.bytes-before.bytes < 4*(3<<20) {
		t.Errorf("before %+v, with a file and four bundles open %+v", before, after)
	}
}

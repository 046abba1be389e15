package checkpoint

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

func nanSlab(t testing.TB) File {
	t.Helper()
	s := param.NewSlab(10)
	t.Cleanup(s.Close)
	s.Data[7] = float32(math.NaN())
	return SlabFile("second.f32", s)
}

// TestSlabs: what is written comes back bit for bit, subnormal numbers and
// negative zero as well; what is not finite is refused by place.
func TestSlabs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{0, 1, 17, chunkElements, chunkElements + 1, 3*chunkElements - 5} {
		s, back := param.NewSlab(n), param.NewSlab(n)
		for i := range s.Data {
			for {
				s.Data[i] = math.Float32frombits(rng.Uint32())
				if s.Data[i]-s.Data[i] == 0 {
					break
				}
			}
		}
		if n > 1 {
			s.Data[0], s.Data[n-1] = float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32
		}
		dir := filepath.Join(t.TempDir(), "s")
		if err := WriteDir(dir, []File{SlabFile("m.f32", s)}); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := ReadSlab(root, "m.f32", back); err != nil {
			t.Fatal(err)
		}
		for i := range s.Data {
			if math.Float32bits(s.Data[i]) != math.Float32bits(back.Data[i]) {
				t.Fatalf("%d elements: %d is %x, expected %x", n, i, math.Float32bits(back.Data[i]), math.Float32bits(s.Data[i]))
			}
		}
		longer := param.NewSlab(n + 1)
		if err := ReadSlab(root, "m.f32", longer); !errors.Is(err, ErrFormat) {
			t.Errorf("%d elements read into %d: %v", n, n+1, err)
		}
		for _, s := range []*param.Slab{s, back, longer} {
			s.Close()
		}
		root.Close()
	}
	err := nanSlab(t).Write(&strings.Builder{})
	if !errors.Is(err, ErrNonFinite) || !strings.Contains(err.Error(), "element 7 of second.f32 is NaN") {
		t.Errorf("NaN: %v", err)
	}
}

func TestReadJSON(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for text, want := range map[string]string{
		`{"a": 1}`:          "",
		`{"a": 1} `:         "",
		`{"a": 1} x`:        "something follows",
		`{"a": 1}{}`:        "something follows",
		`{"a": 1, "b": 2}`:  `unknown field "b"`,
		`{"a": "x"}`:        "cannot unmarshal string",
		`{"a": 1`:           "unexpected EOF",
		``:                  "EOF",
		"\x00\x01":          "invalid character",
		`{"a": 1e999}`:      "cannot unmarshal number",
		`{"a": 1, "a": 1.}`: "invalid character",
	} {
		if err := os.WriteFile(filepath.Join(dir, "s.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var v struct {
			A int `json:"a"`
		}
		err := ReadJSON(root, "s.json", &v)
		if want == "" && (err != nil || v.A != 1) || want != "" && (!errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir)) {
			t.Errorf("%q: %v, expected %q", text, err, want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "s.json"), []byte("1234"), 0o644); err != nil {
		t.Fatal(err)
	}
	if text, err := ReadBytes(root, "s.json", 4); err != nil || string(text) != "1234" {
		t.Errorf("as many bytes as allowed: %q, %v", text, err)
	}
	if _, err := ReadBytes(root, "s.json", 3); !errors.Is(err, ErrFormat) {
		t.Errorf("more bytes than allowed: %v", err)
	}
}

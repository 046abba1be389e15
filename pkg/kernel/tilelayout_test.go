package kernel

import (
	"testing"
	"unsafe"
)

// TestTileLayout holds the offsets that scripts/asm/tile.go has, in bytes: the assembly
// would read a field of tile that moved from where it was.
func TestTileLayout(t *testing.T) {
	var s tile
	for _, f := range []struct {
		name     string
		at, want uintptr
	}{
		{"a", unsafe.Offsetof(s.a), 0}, {"b", unsafe.Offsetof(s.b), 24}, {"c", unsafe.Offsetof(s.c), 48},
		{"init", unsafe.Offsetof(s.init), 72}, {"bias", unsafe.Offsetof(s.bias), 96}, {"k", unsafe.Offsetof(s.k), 120},
		{"cs", unsafe.Offsetof(s.cs), 128}, {"is", unsafe.Offsetof(s.is), 136},
		{"rows", unsafe.Offsetof(s.rows), 144}, {"cols", unsafe.Offsetof(s.cols), 152},
		{"as", unsafe.Offsetof(s.as), 160}, {"bs", unsafe.Offsetof(s.bs), 168}, {"bf16", unsafe.Offsetof(s.bf16), 176}, {"all", unsafe.Offsetof(s.all), 200},
		{"q8", unsafe.Offsetof(s.q8), 208}, {"sums", unsafe.Offsetof(s.sums), 232}, {"ss", unsafe.Offsetof(s.ss), 256}, {"part", unsafe.Offsetof(s.part), 264},
		{"next", unsafe.Offsetof(s.next), 272}, {"far", unsafe.Offsetof(s.far), 280},
	} {
		if f.at != f.want {
			t.Errorf("tile.%s lies at byte %d, the assembly reads it at %d: change scripts/asm/tile.go and generate it anew", f.name, f.at, f.want)
		}
	}
}

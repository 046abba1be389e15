package param

import (
	"testing"
	"unsafe"
)

// Slabs of a region are zero, do not overlap, and give their memory back by themselves; small ones lie side by
// side, so that a huge page holds several.
func TestRegion(t *testing.T) {
	var r region
	defer r.close()
	sizes := []int{1, 1000, 1024, 700_000, 1_000_000, 1_900_000, 3_000_000, 5, 2_000_000, 900_000}
	var slabs []*Slab
	for i, n := range sizes {
		s := r.slab(n)
		if len(s.Data) != n {
			t.Fatalf("slab %d has %d elements, want %d", i, len(s.Data), n)
		}
		for j, v := range s.Data {
			if v != 0 {
				t.Fatalf("slab %d: element %d is %g, want 0", i, j, v)
			}
		}
		for j := range s.Data {
			s.Data[j] = float32(i + 1)
		}
		slabs = append(slabs, s)
	}
	if gap := uintptr(unsafe.Pointer(&slabs[2].Data[0])) - uintptr(unsafe.Pointer(&slabs[1].Data[0])); gap != uintptr(page) {
		t.Errorf("the third slab begins %d bytes after the second, want a page", gap)
	}
	slabs[3].Close()
	slabs[4].Truncate(10)
	slabs[8].Close()
	for i, s := range slabs {
		for j, v := range s.Data {
			if v != float32(i+1) {
				t.Fatalf("slab %d: element %d is %g, want %d", i, j, v, i+1)
			}
		}
	}
	for _, s := range slabs {
		s.Close()
	}
}

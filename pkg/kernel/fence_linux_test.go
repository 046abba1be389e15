package kernel

import (
	"syscall"
	"testing"
	"unsafe"
)

// fence returns n values that end where an unreadable page begins, behind a
// page of NaNs: a kernel that touches what lies after them dies on the spot,
// and one that writes before them is seen by the returned check.
func fence(t testing.TB, n int) (s []float32, intact func() bool) {
	page := syscall.Getpagesize()
	size := (n*4 + 2*page - 1) / page * page // one page to spare in front
	mem, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mprotect(mem[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(mem); err != nil {
			t.Error(err)
		}
	})
	all := unsafe.Slice((*float32)(unsafe.Pointer(&mem[0])), size/4)
	return fenced(all, n)
}

//go:build linux && mpi

package mpi

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/ecospa/ecospa/internal/dist"
)

// libraries are tried in this order, when none is named.
var libraries = []string{"libmpi.so.40", "libmpi.so.12", "libmpich.so.12", "libmpi.so"}

// most is the elements of one call: counts are 32-bit.
const most = 1 << 28

// Built says whether this build can load an MPI library.
const Built = true

// World is the group of all ranks that the launcher started.
type World struct {
	rank, size int
	sent       int64
	library    string
	abi        abi
	call       calls
	half       []uint16 // of SumBF16
}

// abi is the constants of a family of libraries.
type abi struct {
	name                     string
	world, float, double, bt uintptr
	sum, inPlace             uintptr
}

// calls are the functions of the library.
type calls struct {
	initThread    func(argc, argv uintptr, required int32, provided *int32) int32
	finalize      func() int32
	abort         func(comm uintptr, code int32) int32
	rank, size    func(comm uintptr, n *int32) int32
	allreduce     func(send uintptr, recv unsafe.Pointer, count int32, typ, op, comm uintptr) int32
	reduceScatter func(send uintptr, recv unsafe.Pointer, counts *int32, typ, op, comm uintptr) int32
	allgatherv    func(send uintptr, count int32, typ uintptr, recv unsafe.Pointer, counts, at *int32, rtyp, comm uintptr) int32
	bcast         func(buf unsafe.Pointer, count int32, typ uintptr, root int32, comm uintptr) int32
	sendrecv      func(send unsafe.Pointer, count int32, typ uintptr, to, tag int32, recv unsafe.Pointer, rcount int32, rtyp uintptr, from, rtag int32, comm, status uintptr) int32
	version       func(text *byte, n *int32) int32
}

// ErrLibrary is returned when no usable MPI library can be loaded.
var ErrLibrary = errors.New("mpi: no usable library")

// Open loads a library (a path, or "" for the usual names) and joins the other
// ranks. It is called once in a process. Close leaves them.
func Open(library string) (*World, error) {
	names := libraries
	if library != "" {
		names = []string{library}
	}
	runtime.LockOSThread() // dlopen's error text belongs to the thread that called it
	defer runtime.UnlockOSThread()
	var tried []string
	for _, name := range names {
		h, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err != nil {
			why := strings.TrimSpace(err.Error())
			if !strings.Contains(why, name) {
				why = name + ": " + why
			}
			tried = append(tried, why)
			continue
		}
		w := &World{library: name}
		if err := w.bind(h); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrLibrary, name, err)
		}
		return w, w.join()
	}
	return nil, fmt.Errorf("%w: tried %s", ErrLibrary, strings.Join(tried, "; "))
}

// bind finds the symbols.
func (w *World) bind(h uintptr) error {
	for name, f := range map[string]any{
		"MPI_Init_thread": &w.call.initThread, "MPI_Finalize": &w.call.finalize, "MPI_Abort": &w.call.abort,
		"MPI_Comm_rank": &w.call.rank, "MPI_Comm_size": &w.call.size, "MPI_Allreduce": &w.call.allreduce,
		"MPI_Reduce_scatter": &w.call.reduceScatter, "MPI_Allgatherv": &w.call.allgatherv, "MPI_Bcast": &w.call.bcast,
		"MPI_Sendrecv": &w.call.sendrecv, "MPI_Get_library_version": &w.call.version,
	} {
		at, err := purego.Dlsym(h, name)
		if err != nil {
			return err
		}
		purego.RegisterFunc(f, at)
	}
	if world, err := purego.Dlsym(h, "ompi_mpi_comm_world"); err == nil {
		w.abi = abi{name: "Open MPI", world: world, inPlace: 1}
		for name, to := range map[string]*uintptr{
			"ompi_mpi_float": &w.abi.float, "ompi_mpi_double": &w.abi.double, "ompi_mpi_byte": &w.abi.bt, "ompi_mpi_op_sum": &w.abi.sum,
		} {
			if *to, err = purego.Dlsym(h, name); err != nil {
				return err
			}
		}
		return nil
	}
	w.abi = abi{name: "MPICH", world: 0x44000000, float: 0x4c00040a, double: 0x4c00080b, bt: 0x4c00010d, sum: 0x58000003, inPlace: ^uintptr(0)}
	return nil
}

func (w *World) join() error {
	const serialized = 2 // calls from any thread, one at a time
	var provided, rank, size int32
	runtime.LockOSThread() // the library may keep state by thread while it starts
	defer runtime.UnlockOSThread()
	if code := w.call.initThread(0, 0, serialized, &provided); code != 0 {
		return fmt.Errorf("mpi: MPI_Init_thread failed with code %d", code)
	}
	if provided < serialized {
		return fmt.Errorf("%w: %s gives thread level %d, expected %d (MPI_THREAD_SERIALIZED)", ErrLibrary, w.library, provided, serialized)
	}
	if a, b := w.call.rank(w.abi.world, &rank), w.call.size(w.abi.world, &size); a != 0 || b != 0 {
		return fmt.Errorf("mpi: MPI_Comm_rank and MPI_Comm_size failed with codes %d and %d", a, b)
	}
	w.rank, w.size = int(rank), int(size)
	return nil
}

// Library says what was loaded: "Open MPI v4.1.4 ... (libmpi.so.40)".
func (w *World) Library() string {
	text, n := make([]byte, 8192), int32(0) // MPI_MAX_LIBRARY_VERSION_STRING of MPICH; Open MPI's is 256
	w.call.version(&text[0], &n)
	line, _, _ := strings.Cut(strings.TrimRight(string(text[:max(0, min(int(n), len(text)))]), "\x00\n"), ",")
	line, _, _ = strings.Cut(line, "\n")
	return fmt.Sprintf("%s (%s, ABI of %s)", line, w.library, w.abi.name)
}

// Close leaves the group; every rank must.
func (w *World) Close() error { return failed("MPI_Finalize", w.call.finalize()) }

// Abort ends all ranks at once with an exit code; it does not return.
func (w *World) Abort(code int) { w.call.abort(w.abi.world, int32(code)) }

func failed(what string, code int32) error {
	if code != 0 {
		return fmt.Errorf("mpi: %s failed with code %d", what, code)
	}
	return nil
}

func (w *World) Rank() int   { return w.rank }
func (w *World) Size() int   { return w.size }
func (w *World) Sent() int64 { return w.sent }

var _ dist.Group = (*World)(nil)

// Sum is an all-reduce in place.
func (w *World) Sum(x []float32) error {
	w.sent += 4 * int64(len(x))
	for len(x) > 0 {
		n := min(len(x), most)
		if code := w.call.allreduce(w.abi.inPlace, unsafe.Pointer(&x[0]), int32(n), w.abi.float, w.abi.sum, w.abi.world); code != 0 {
			return failed("MPI_Allreduce", code)
		}
		x = x[n:]
	}
	return nil
}

func (w *World) SumFloat64(x []float64) error {
	w.sent += 8 * int64(len(x))
	for len(x) > 0 {
		n := min(len(x), most)
		if code := w.call.allreduce(w.abi.inPlace, unsafe.Pointer(&x[0]), int32(n), w.abi.double, w.abi.sum, w.abi.world); code != 0 {
			return failed("MPI_Allreduce", code)
		}
		x = x[n:]
	}
	return nil
}

// Scatter is a reduce-scatter of uneven parts, in place: MPI leaves the rank's part
// at the front of the buffer, from where it is moved.
func (w *World) Scatter(x []float32, bounds []int) error {
	if len(x) > most {
		return fmt.Errorf("mpi: a reduce-scatter of %d elements, expected at most %d", len(x), most)
	}
	w.sent += 4 * int64(len(x))
	counts := make([]int32, w.size)
	for r := range counts {
		counts[r] = int32(bounds[r+1] - bounds[r])
	}
	if code := w.call.reduceScatter(w.abi.inPlace, unsafe.Pointer(&x[0]), &counts[0], w.abi.float, w.abi.sum, w.abi.world); code != 0 {
		return failed("MPI_Reduce_scatter", code)
	}
	copy(x[bounds[w.rank]:bounds[w.rank+1]], x[:counts[w.rank]])
	return nil
}

func (w *World) Gather(x []float32, bounds []int) error {
	if len(x) > most {
		return fmt.Errorf("mpi: an all-gather of %d elements, expected at most %d", len(x), most)
	}
	counts, at := make([]int32, w.size), make([]int32, w.size)
	for r := range counts {
		counts[r], at[r] = int32(bounds[r+1]-bounds[r]), int32(bounds[r])
	}
	w.sent += 4 * int64(counts[w.rank])
	return failed("MPI_Allgatherv", w.call.allgatherv(w.abi.inPlace, 0, w.abi.float, unsafe.Pointer(&x[0]), &counts[0], &at[0], w.abi.float, w.abi.world))
}

func (w *World) Broadcast(b []byte) error {
	if w.rank == 0 {
		w.sent += int64(len(b))
	}
	for len(b) > 0 {
		n := min(len(b), most)
		if code := w.call.bcast(unsafe.Pointer(&b[0]), int32(n), w.abi.bt, 0, w.abi.world); code != 0 {
			return failed("MPI_Bcast", code)
		}
		b = b[n:]
	}
	return nil
}

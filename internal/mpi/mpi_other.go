//go:build !linux || !mpi

package mpi

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/ecospa/ecospa/internal/dist"
)

// ErrLibrary is returned when no usable MPI library can be loaded.
var ErrLibrary = errors.New("mpi: no usable library")

// World does not exist on this system.
type World struct{ dist.Alone }

// Built says whether this build can load an MPI library.
const Built = false

// Open fails: MPI is loaded on Linux only, and in builds with the tag mpi.
func Open(string) (*World, error) {
	return nil, fmt.Errorf("%w: this build for %s has none (on Linux: go build -tags mpi)", ErrLibrary, runtime.GOOS)
}

func (*World) Library() string { return "" }
func (*World) Close() error    { return nil }
func (*World) Abort(int)       {}

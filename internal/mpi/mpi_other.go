//go:build !linux || nompi

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

// Open fails: MPI is loaded on Linux only, and not in builds with the tag nompi.
func Open(string) (*World, error) {
	return nil, fmt.Errorf("%w: this build for %s has no MPI", ErrLibrary, runtime.GOOS)
}

func (*World) Library() string { return "" }
func (*World) Close() error    { return nil }
func (*World) Abort(int)       {}

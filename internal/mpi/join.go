package mpi

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Join finds the other ranks when an MPI launcher started this process; nil when none
// did, or a single rank. Local is the ranks on this host, at least 1. Without a usable
// library (ECOSPA_MPI_LIBRARY names one) it fails: N processes that do not know of each
// other would each do the whole work. Ranks other than 0 wait for as long as grace before
// they say so: rank 0 is likely to fail alike, says so and ends all.
func Join(getenv func(string) string, grace time.Duration) (w *World, local int, err error) {
	l, ok := Launched(getenv)
	if !ok || l.Size == 1 {
		return nil, 1, nil
	}
	w, err = Open(getenv("ECOSPA_MPI_LIBRARY"))
	if err != nil {
		if l.Rank > 0 {
			time.Sleep(grace)
		}
		return nil, 1, fmt.Errorf("%s is %d, but rank %d cannot join the others: %w; install Open MPI (Debian: libopenmpi3), or name a library in ECOSPA_MPI_LIBRARY", l.By, l.Size, l.Rank, err)
	}
	if w.Size() != l.Size {
		return nil, 1, fmt.Errorf("%s is %d, but %s knows of %d ranks: launcher and library do not belong together", l.By, l.Size, w.Library(), w.Size())
	}
	return w, max(1, l.Local), nil
}

// Threads is the worker threads of one of local ranks on this host: the cores that the
// process is bound to, or its share of the host's.
func Threads(local int) int {
	cores := runtime.NumCPU()
	if online, err := os.ReadFile("/sys/devices/system/cpu/online"); err == nil && cores == countCPUs(string(online)) {
		return max(1, cores/local)
	}
	return cores
}

// countCPUs counts a list such as "0-3,8-11"; 0 when it is not one.
func countCPUs(list string) int {
	n := 0
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		from, to, span := strings.Cut(part, "-")
		if !span {
			to = from
		}
		a, err1 := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || b < a {
			return 0
		}
		n += b - a + 1
	}
	return n
}

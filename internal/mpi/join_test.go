package mpi

import "testing"

func TestCountCPUs(t *testing.T) {
	for list, want := range map[string]int{"0-3\n": 4, "0": 1, "0-1,4,6-7": 5, "": 0, "x": 0, "3-1": 0} {
		if n := countCPUs(list); n != want {
			t.Errorf("%q: %d, expected %d", list, n, want)
		}
	}
}

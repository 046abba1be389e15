package mpi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ecospa/ecospa/internal/dist"
)

// TestMain is a rank when a launcher started it.
func TestMain(m *testing.M) {
	if _, ok := Launched(os.Getenv); !ok {
		os.Exit(m.Run())
	}
	w, err := Open("")
	if err == nil {
		for _, n := range []int{1, 5, 1000, 300001} {
			if err == nil {
				err = dist.Exercise(w, dist.Bounds(n, w.Size(), 4))
			}
		}
		if err == nil && w.Rank() == 0 {
			fmt.Printf("%d ranks of %s, %d bytes\n", w.Size(), w.Library(), w.Sent())
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := w.Close(); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// TestRanks needs mpirun and a library; without them it says that nothing was proved.
func TestRanks(t *testing.T) {
	if !Built {
		t.Skip("NOT RUN: without -tags mpi nothing about MPI is tested")
	}
	if _, err := exec.LookPath("mpirun"); err != nil {
		t.Skip("NOT RUN: no mpirun here, so nothing about MPI was tested (Debian: openmpi-bin)")
	}
	for _, n := range []int{1, 2, 4} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "mpirun", "-np", fmt.Sprint(n), "--oversubscribe", os.Args[0])
		cmd.Env = append(os.Environ(), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), fmt.Sprintf("%d ranks of Open MPI", n)) {
			t.Errorf("%d ranks: %v\n%s", n, err, out)
		}
	}
}

func TestNoLibrary(t *testing.T) {
	if _, err := Open("libnothing.so.1"); !errors.Is(err, ErrLibrary) || Built && !strings.Contains(err.Error(), "libnothing.so.1") {
		t.Errorf("%v", err)
	}
}

func TestLaunched(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want Launch
		ok   bool
	}{
		{nil, Launch{}, false},
		{map[string]string{"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, Launch{"OMPI_COMM_WORLD_SIZE", 2, 4, 2}, true},
		{map[string]string{"PMI_RANK": "0", "PMI_SIZE": "3"}, Launch{"PMI_SIZE", 0, 3, 0}, true},
		{map[string]string{"PMIX_RANK": "1", "SLURM_NTASKS": "2"}, Launch{"SLURM_NTASKS", 1, 2, 0}, true},
		{map[string]string{"SLURM_NTASKS": "2"}, Launch{}, false}, // an sbatch script, not a rank
	} {
		got, ok := Launched(func(k string) string { return c.env[k] })
		if got != c.want || ok != c.ok {
			t.Errorf("%v: %+v, %t", c.env, got, ok)
		}
	}
}

// Package mpi carries dist.Group over an MPI library that is loaded at run time:
// building needs none, and a run of one process never looks for one.
//
// Two ABIs are known: Open MPI's (handles are addresses of exported symbols) and
// MPICH's (handles are numbers), the latter also spoken by Intel MPI and MVAPICH.
// Sources: mpi.h of Open MPI 4.1 and of MPICH 4.0.
package mpi

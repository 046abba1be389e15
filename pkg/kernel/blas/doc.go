// Package blas gives this project's matrix products the shape of gonum's BLAS, so
// that whoever takes one of those multiplies with them: Gorgonia and its tensors
// (gorgonia.Use), gonum's own mat (blas32.Use). Products in float32 of matrices
// and of a matrix and a vector are ours, everything else is gonum's.
package blas

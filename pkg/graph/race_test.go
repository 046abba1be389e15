//go:build race

package graph

// The race detector makes sync.Pool, which kernels keep their arguments in,
// forget at random: counts of allocations mean nothing then.
const raceDetector = true

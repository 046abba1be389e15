//go:build !linux

package kernel

// mapHuge is ordinary memory where the project has no mapping of its own.
func mapHuge(n int) []float32 { return aligned(n) }

func unmapHuge([]float32) {}

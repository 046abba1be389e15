//go:build !amd64

package kernel

func nativePaths() []*path { return nil }

//go:build !amd64 && !arm64

package kernel

func nativePaths() []*path { return nil }

// pause would tell the processor that the thread waits for another one.
func pause() {}

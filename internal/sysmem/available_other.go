//go:build !linux

package sysmem

// Available is not known on this system.
func Available() (free int64, by string, known bool) { return 0, "", false }

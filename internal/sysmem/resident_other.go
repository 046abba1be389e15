//go:build !linux

package sysmem

import "runtime"

// Resident is the process's resident set and its highest value so far, in
// bytes. Where the system has no cheap reading, it is what the Go runtime has
// from the system, for both.
func Resident() (now, peak int64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys), int64(m.Sys)
}

// ForgetPeak makes the highest resident set that Resident tells begin anew, and
// reports whether it did: Linux can, other systems cannot.
func ForgetPeak() bool { return false }

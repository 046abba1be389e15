package sysmem

import (
	"bytes"
	"os"
	"strconv"
)

// Resident is the process's resident set and its highest value so far, in bytes.
func Resident() (now, peak int64) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	return statusField(status, "VmRSS:"), statusField(status, "VmHWM:")
}

// statusField reads a "Name:   123 kB" line.
func statusField(status []byte, name string) int64 {
	_, rest, ok := bytes.Cut(status, []byte(name))
	if !ok {
		return 0
	}
	f := bytes.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	kb, _ := strconv.ParseInt(string(f[0]), 10, 64)
	return kb << 10
}

// ForgetPeak makes the highest resident set that Resident tells begin anew at what
// is resident now, and reports whether it did: Linux can, other systems cannot.
func ForgetPeak() bool {
	return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) == nil
}

package sysmem

import (
	"fmt"
	"os"
	"runtime"
)

// Busy reports the load of the last minute and the processors of this process, where
// there were more threads that wanted one than there are; false where that is not known.
func Busy() (load float64, cores int, busy bool) {
	cores = runtime.NumCPU()
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, cores, false
	}
	if _, err := fmt.Sscanf(string(text), "%f", &load); err != nil {
		return 0, cores, false
	}
	// The process itself keeps all processors at work.
	return load, cores, load > float64(cores)+0.5
}

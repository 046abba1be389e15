//go:build !linux && !windows

package priority

import "syscall"

// Lower gives the process the value n of nice(1), from 0 to 19.
func Lower(n int) error { return syscall.Setpriority(syscall.PRIO_PROCESS, 0, n) }

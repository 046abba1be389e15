package priority

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// Lower adds nothing but politeness: n from 0 to 19, as nice(1) counts. On Linux the
// value is a thread's, and threads that start later take that of the one that starts
// them, so that every thread of now is set.
func Lower(n int) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, n); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("priority: thread %d: %w", id, err)
		}
	}
	return nil
}

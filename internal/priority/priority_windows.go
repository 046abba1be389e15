package priority

import "golang.org/x/sys/windows"

// Lower puts the process into a class below the normal one: from 1 "below normal", from
// 15 "idle".
func Lower(n int) error {
	class := uint32(windows.NORMAL_PRIORITY_CLASS)
	switch {
	case n >= 15:
		class = windows.IDLE_PRIORITY_CLASS
	case n > 0:
		class = windows.BELOW_NORMAL_PRIORITY_CLASS
	}
	return windows.SetPriorityClass(windows.CurrentProcess(), class)
}

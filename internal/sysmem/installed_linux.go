package sysmem

import (
	"io/fs"
	"math"
	"os"
	"path"
	"strings"
)

// Installed is the machine's memory in bytes, and the limit of this process's
// control group; 0 for what the system does not say, or where there is no limit.
func Installed() (machine, group int64) { return installed(os.DirFS("/")) }

// installed is Installed of a root directory.
func installed(root fs.FS) (machine, group int64) {
	if info, err := fs.ReadFile(root, "proc/meminfo"); err == nil {
		machine = statusField(info, "MemTotal:")
	}
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return machine, 0
	}
	least := int64(math.MaxInt64)
	for line := range strings.Lines(string(groups)) {
		if g, at, ok := memoryGroup(line); ok {
			for p := path.Clean("/" + at); ; p = path.Dir(p) {
				if n, ok := number(root, path.Join(g.mount, p, g.limit)); ok {
					least = min(least, n)
				}
				if p == "/" {
					break
				}
			}
		}
	}
	if least == math.MaxInt64 || machine > 0 && least >= machine {
		return machine, 0 // version 1 says "no limit" with a number that no machine has
	}
	return machine, least
}

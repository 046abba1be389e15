package sysmem

import (
	"bytes"
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// Available is the bytes of memory that this process may still take before the
// machine swaps or its control group is full, and which of the two says so.
// known is false where the system does not say.
func Available() (free int64, by string, known bool) { return available(os.DirFS("/")) }

// available is Available of a root directory.
// Sources: proc(5) on MemAvailable; the kernel's cgroup-v2.rst and cgroup-v1/memory.rst.
func available(root fs.FS) (free int64, by string, known bool) {
	free = math.MaxInt64
	if info, err := fs.ReadFile(root, "proc/meminfo"); err == nil {
		if n := statusField(info, "MemAvailable:"); n > 0 {
			free, by, known = n, "the machine", true
		}
	}
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return free, by, known
	}
	for line := range strings.Lines(string(groups)) {
		g, at, ok := memoryGroup(line)
		if !ok {
			continue
		}
		if n, ok := g.left(root, at); ok && n < free {
			free, by, known = n, "its control group", true
		}
	}
	return free, by, known
}

// cgroup says where a version of control groups keeps its numbers.
type cgroup struct{ mount, limit, usage, cache string }

// memoryGroup reads a line of /proc/self/cgroup: number, controllers, path. ok is
// false for one that does not concern memory.
func memoryGroup(line string) (g cgroup, at string, ok bool) {
	f := strings.SplitN(strings.TrimSpace(line), ":", 3)
	switch {
	case len(f) != 3:
		return g, "", false
	case f[0] == "0" && f[1] == "":
		return cgroup{"sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"}, f[2], true
	case strings.Contains(","+f[1]+",", ",memory,"):
		return cgroup{"sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}, f[2], true
	}
	return g, "", false
}

// left is the least that the group at p or a group around it has left. Where the
// path is not that of this mount (in a container), the mount itself counts.
func (g cgroup) left(root fs.FS, p string) (least int64, ok bool) {
	least = math.MaxInt64
	for p = path.Clean("/" + p); ; p = path.Dir(p) {
		dir := path.Join(g.mount, p)
		limit, lok := number(root, path.Join(dir, g.limit))
		used, uok := number(root, path.Join(dir, g.usage))
		if lok && uok {
			n := limit - used
			if stat, err := fs.ReadFile(root, path.Join(dir, "memory.stat")); err == nil {
				n += cacheOf(stat, g.cache)
			}
			least, ok = min(least, max(0, n)), true
		}
		if p == "/" {
			return least, ok
		}
	}
}

// number is a file's one number; "max" and what does not fit are none.
func number(root fs.FS, name string) (int64, bool) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	return n, err == nil
}

// cacheOf is a memory.stat field: file pages that the system takes back at need.
func cacheOf(stat []byte, field string) int64 {
	for line := range bytes.Lines(stat) {
		if f := bytes.Fields(line); len(f) == 2 && string(f[0]) == field {
			n, _ := strconv.ParseInt(string(f[1]), 10, 64)
			return n
		}
	}
	return 0
}

package sysmem

import (
	"testing"
	"testing/fstest"
)

func TestInstalled(t *testing.T) {
	const meminfo = "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\n"
	for _, c := range []struct {
		name           string
		files          map[string]string
		machine, group int64
	}{
		{"no group", map[string]string{"proc/meminfo": meminfo}, 16000000 << 10, 0},
		{"v2 without limit", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 16000000 << 10, 0},
		{"v2, the group around it", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "1000\n", "sys/fs/cgroup/a/b/memory.max": "5000\n"}, 16000000 << 10, 1000},
		{"v1", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/d\n", "sys/fs/cgroup/memory/d/memory.limit_in_bytes": "5000\n"}, 16000000 << 10, 5000},
		{"v1 without limit", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 16000000 << 10, 0},
	} {
		root := fstest.MapFS{}
		for name, text := range c.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if machine, group := installed(root); machine != c.machine || group != c.group {
			t.Errorf("%s: %d and %d, expected %d and %d", c.name, machine, group, c.machine, c.group)
		}
	}
	machine, group := Installed()
	free, _, _ := Available()
	if machine < free || group < 0 {
		t.Errorf("this machine has %d bytes, its group %d, and %d are free", machine, group, free)
	}
}

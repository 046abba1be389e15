package sysmem

import (
	"testing"
	"testing/fstest"
)

func TestAvailable(t *testing.T) {
	const meminfo = "MemTotal:       16000000 kB\nMemFree:  100 kB\nMemAvailable:    8000000 kB\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		free  int64
		by    string
	}{
		{"machine", map[string]string{"proc/meminfo": meminfo}, 8000000 << 10, "the machine"},
		{"v2 without limit", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n", "sys/fs/cgroup/a/memory.current": "5\n"}, 8000000 << 10, "the machine"},
		{"v2", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "1000000\n", "sys/fs/cgroup/a/memory.current": "600000\n",
			"sys/fs/cgroup/a/memory.stat": "anon 1\ninactive_file 5000\nactive_file 7\n"}, 405000, "its control group"},
		{"v2, the group around it", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "1000\n", "sys/fs/cgroup/a/memory.current": "600\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "600\n"}, 400, "its control group"},
		{"v2, a path from outside the container", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/memory.max": "1000\n", "sys/fs/cgroup/memory.current": "1\n"}, 999, "its control group"},
		{"v1", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "12:cpu,cpuacct:/x\n4:memory:/d\n", "sys/fs/cgroup/memory/d/memory.limit_in_bytes": "5000\n", "sys/fs/cgroup/memory/d/memory.usage_in_bytes": "1000\n",
			"sys/fs/cgroup/memory/d/memory.stat": "inactive_file 1\ntotal_inactive_file 500\n"}, 4500, "its control group"},
		{"v1 without limit", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "1000\n"}, 8000000 << 10, "the machine"},
		{"over its limit", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000\n", "sys/fs/cgroup/memory.current": "1001\n"}, 0, "its control group"},
	} {
		root := fstest.MapFS{}
		for name, text := range c.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if free, by, known := available(root); free != c.free || by != c.by || !known {
			t.Errorf("%s: %d by %q (%t), expected %d by %q", c.name, free, by, known, c.free, c.by)
		}
	}
	if _, _, known := available(fstest.MapFS{}); known {
		t.Error("something is known of an empty root")
	}
	if free, _, known := Available(); !known || free < 1<<20 {
		t.Errorf("this machine has %d bytes (known: %t)", free, known)
	}
}

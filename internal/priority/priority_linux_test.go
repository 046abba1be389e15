package priority

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// TestLower runs in a process of its own, since nothing may raise a priority again.
func TestLower(t *testing.T) {
	if os.Getenv("ECOSPA_TEST_NICE") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=TestLower$", "-test.v")
		cmd.Env = append(os.Environ(), "ECOSPA_TEST_NICE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := Lower(17); err != nil {
		t.Fatal(err)
	}
	begun, end := make(chan bool), make(chan bool)
	defer close(end)
	for range 8 { // threads that start after it as well
		go func() { runtime.LockOSThread(); begun <- true; <-end }()
	}
	for range 8 {
		<-begun
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil || len(tasks) < 8 {
		t.Fatalf("%d threads, %v", len(tasks), err)
	}
	for _, task := range tasks {
		stat, err := os.ReadFile("/proc/self/task/" + task.Name() + "/stat")
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if nice := fields[16]; nice != "17" { // field 19 of the file, 3 of which stand before
			t.Errorf("thread %s has %s", task.Name(), nice)
		}
	}
}

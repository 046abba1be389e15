//go:build !race

// The race detector keeps shadows of all memory: its figures are not the program's.

package data

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// status is a line of /proc/self/status in KiB.
func status(t *testing.T, key string) (kib int) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc: " + err.Error())
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				t.Fatal(err)
			}
			return kib
		}
	}
	t.Skip("LOUD: /proc/self/status has no " + key)
	return 0
}

// TestPrepareInLittleMemory prepares and trains on a corpus of 64 MB in a process whose heap
// may take 24 MiB. scripts/corpus.sh does it with one of 8 GB under 1 GiB.
func TestPrepareInLittleMemory(t *testing.T) {
	const corpus, limit = 64 << 20, 48 << 10 // bytes; KiB that the process may have resident at most
	if dir := os.Getenv("ECOSPA_TEST_CORPUS"); dir != "" {
		o := PrepareOptions{Path: filepath.Join(dir, "text"), Out: filepath.Join(dir, "shards"), Tokenizer: ended{}, Shard: 8 << 20, Workers: 2}
		about, err := Prepare(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		if peak := status(t, "VmHWM"); peak > limit {
			t.Errorf("preparing took %d KiB, expected at most %d", peak, limit)
		} else {
			t.Logf("preparing %d bytes took %d KiB", about.TextBytes, peak)
		}
		p, err := Read(o.Out, Options{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := NewBatches(p.Shards, 16, 256, Cursor{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			if _, err := b.Next(); err != nil {
				t.Fatal(err)
			}
		}
		if now := status(t, "RssAnon"); now > limit {
			t.Errorf("batches hold %d KiB of memory of their own, expected at most %d", now, limit)
		}
		return
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "text"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		f, err := os.Create(filepath.Join(dir, "text", fmt.Sprintf("%d.jsonl", i)))
		if err != nil {
			t.Fatal(err)
		}
		w := bufio.NewWriter(f)
		line := fmt.Sprintf("{\"text\": %q}\n", strings.Repeat("a few words of a text ", 90))
		for n := 0; n < corpus/2; n += len(line) {
			w.WriteString(line)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	c := exec.Command(os.Args[0], "-test.run=^TestPrepareInLittleMemory$", "-test.v")
	c.Env = append(os.Environ(), "ECOSPA_TEST_CORPUS="+dir, "GOMEMLIMIT=24MiB")
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "preparing ") {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

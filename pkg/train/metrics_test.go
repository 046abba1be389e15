package train

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOpenMetricsCutsOff: what an interrupted run may have left behind goes.
func TestOpenMetricsCutsOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	const two = "{\"step\":1,\"loss\":3}\n{\"step\":2,\"loss\":2}\n"
	for name, text := range map[string]string{
		"nothing more": two, "later steps": two + "{\"step\":3}\n{\"step\":4}\n", "half a line": two + "{\"step\":3,\"lo", "no JSON": two + "what\n{\"step\":3}\n",
		"the same step again": two + "{\"step\":2,\"loss\":2}\n", "zeros": two + strings.Repeat("\x00", 100),
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := OpenMetrics(path, 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Write(Record{Step: 3, Loss: 1}); err != nil {
			t.Error(err)
		}
		if err := m.Sync(); err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		b, _ := os.ReadFile(path)
		rest, ok := bytes.CutPrefix(b, []byte(two))
		var r Record
		if err := json.Unmarshal(rest, &r); !ok || err != nil || r.Step != 3 || bytes.Count(rest, []byte("\n")) != 1 {
			t.Errorf("%s: the file is %q (%v)", name, b, err)
		}
	}
}

// TestMetricsKeepsWhatTheDiskDoesNotTake closes the file beneath it for a while.
func TestMetricsKeepsWhatTheDiskDoesNotTake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	m, err := OpenMetrics(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Write(Record{Step: 1}); err != nil {
		t.Fatal(err)
	}
	good := m.f
	if m.f, err = os.Open(path); err != nil { // for reading only
		t.Fatal(err)
	}
	for step := 2; step < 4; step++ {
		if err := m.Write(Record{Step: step}); err == nil {
			t.Error("a file that cannot be written to takes a line")
		}
	}
	m.f.Close()
	m.f = good
	if err := m.Write(Record{Step: 4}); err != nil {
		t.Error(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	b, _ := os.ReadFile(path)
	n, err := lengthUpTo(bytes.NewReader(b), 4)
	if err != nil || n != int64(len(b)) || bytes.Count(b, []byte("\n")) != 4 {
		t.Errorf("the file is %q (%v)", b, err)
	}
}

// TestMetricsStayInTheirDirectory: a link that leads out is not followed.
func TestMetricsStayInTheirDirectory(t *testing.T) {
	dir, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("keep"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "metrics.jsonl")
	if err := os.Symlink(other, path); err != nil {
		t.Skip("SKIPPED: the system makes no links: ", err)
	}
	if _, err := OpenMetrics(path, 0); err == nil {
		t.Error("the link is followed")
	}
	if b, _ := os.ReadFile(other); string(b) != "keep" {
		t.Errorf("the link's target is %q", b)
	}
}

// FuzzMetrics looks for the lines of a resumed run in any bytes: what it keeps is
// whole lines of ascending steps.
func FuzzMetrics(f *testing.F) {
	f.Add([]byte("{\"step\":1}\n{\"step\":2}\n"), 2)
	f.Add([]byte("{\"step\":1}\n{\"step\":1}\n{"), 1)
	f.Add([]byte("\n\n"), 0)
	f.Add([]byte("{\"step\":1e3}\nnull\n"), 1<<40)
	f.Fuzz(func(t *testing.T, b []byte, steps int) {
		n, err := lengthUpTo(bytes.NewReader(b), steps)
		if err != nil || n < 0 || n > int64(len(b)) {
			t.Fatalf("%d of %d bytes, %v", n, len(b), err)
		}
		last := 0
		for line := range bytes.Lines(b[:n]) {
			var r Record
			if err := json.Unmarshal(line, &r); err != nil || r.Step <= last || r.Step > steps || !bytes.HasSuffix(line, []byte("\n")) {
				t.Errorf("line %q is kept behind step %d of %d (%v)", line, last, steps, err)
			}
			last = r.Step
		}
	})
}

package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOperations runs the command of docs/operations.md in its three situations, smaller
// than it stands there.
func TestOperations(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ecospa pretrain .*--resume=auto.*$`).FindString(string(page))
	if line == "" {
		t.Fatal("docs/operations.md has no command with --resume=auto")
	}
	dir := filepath.Join(t.TempDir(), "nightly")
	args := small(dir) // the same subcommand with a model of a few seconds
	for _, word := range strings.Fields(line) {
		switch word {
		case "--resume=auto":
			args = append(args, word)
		case "--nice":
			args = append(args, "--nice", "0") // a test does not step back
		}
	}
	mustRun(t, args...)
	if _, err := os.Stat(filepath.Join(dir, "summary.json")); err != nil {
		t.Fatalf("it did not start a run: %v", err)
	}
	if out, _ := mustRun(t, args...); !strings.Contains(out, "already finished") {
		t.Errorf("a finished run: %s", out)
	}
	if code, _, stderr := runCommand(t, t.Context(), append(args, "--nice", "20")...); code != exitUsage || !strings.Contains(stderr, "--nice is 20, expected 0 to 19") {
		t.Errorf("--nice 20: exit %d, %s", code, stderr)
	}
}

// TestUnits has systemd read the units that are shipped.
func TestUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("NOT RUN: no systemd here, so the units in packaging were not checked")
	}
	for _, name := range []string{"ecospa-train.service", "ecospa-serve.service"} {
		text, err := os.ReadFile("../packaging/" + name)
		if err != nil {
			t.Fatal(err)
		}
		// verify wants the program to be there.
		self, _ := os.Executable()
		to := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(to, []byte(strings.ReplaceAll(string(text), "/usr/bin/ecospa", self)), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("systemd-analyze", "verify", "--man=no", to).CombinedOutput(); err != nil || strings.Contains(string(out), name) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

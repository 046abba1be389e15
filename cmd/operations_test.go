package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
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

// TestRecipes runs the scheduler recipes of docs/operations.md and packaging with a stand-in
// for the program, and gives the program itself the arguments that the stand-in got: it
// takes them all, up to the files, which are not there.
func TestRecipes(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	batch, err := filepath.Abs("../packaging/nightly.sbatch")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	stand := "#!/bin/sh\nprintf '%s\\n' \"$@\" >" + dir + "/got\necho \"a line\"\n[ ! -e wait ] || { trap 'exit 130' TERM; touch waiting; while :; do sleep 0.05; done; }\nexit $(cat code)\n"
	if err := os.WriteFile("ecospa", []byte(stand), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	recipe := func(pattern string) string {
		m := regexp.MustCompile(pattern).FindSubmatch(page)
		if m == nil {
			t.Fatalf("docs/operations.md has no %s", pattern)
		}
		return string(m[1])
	}
	cron := strings.NewReplacer("/var/log", dir, "timeout -s TERM 8h", "timeout -s TERM 1").Replace(recipe(`(?m)^0 22 \* \* \*  (.*)$`))
	docker := recipe(`(?m)^docker run .* ecospa (.*)$`)
	for name, c := range map[string]struct {
		script string
		code   string // of the stand-in
		want   int
	}{
		"cron": {cron, "0", 0}, "cron, failed": {cron, "3", 3}, "container": {"ecospa " + docker, "0", 0},
		"Slurm": {"sh " + batch, "0", 0}, "Slurm, failed": {"sh " + batch, "2", 2}, "Slurm, saved": {"sh " + batch, "130", 0},
	} {
		if err := os.WriteFile("code", []byte(c.code), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", c.script)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.want {
			t.Errorf("%s ends with %d, expected %d: %s", name, code, c.want, out)
		}
		takes(t, name)
	}
	if log, err := os.ReadFile("ecospa.log"); err != nil || !strings.Contains(string(log), "a line") {
		t.Errorf("the log of cron: %q, %v", log, err)
	}
	for _, unit := range []string{"ecospa-train.service", "ecospa-serve.service"} {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(batch), unit))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/(ecospa .*)$`).FindSubmatch(text)
		if m == nil {
			t.Fatalf("%s starts nothing", unit)
		}
		if err := exec.Command("sh", "-c", string(m[1])).Run(); err != nil && !strings.Contains(err.Error(), "exit status") {
			t.Fatal(err)
		}
		takes(t, unit)
	}
	// Slurm's signal goes to the shell, which passes it on and waits until the state is saved.
	if err := os.WriteFile("wait", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", batch)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if _, err := os.Stat("waiting"); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("a Slurm job that is at its end: %v, expected that it is saved", err)
	}
}

// takes gives the program the arguments that the stand-in got, with other files.
func takes(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile("got")
	if err != nil {
		t.Fatalf("%s does not start the program: %v", name, err)
	}
	args := append([]string{"ecospa"}, strings.Split(strings.TrimSpace(string(text)), "\n")...)
	for i := range args[1:] {
		switch args[i] {
		case "-c", "--model", "--out":
			args[i+1] = "none"
		}
	}
	if i := slices.Index(args, "--nice"); i >= 0 {
		args[i+1] = "0" // a test does not step back
	}
	if code, _, log := runCommand(t, t.Context(), args...); code != exitBadInput {
		t.Errorf("%s: %q: exit code %d, expected %d for the files that are not there: %s", name, args, code, exitBadInput, log)
	}
}

package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ecospa/ecospa/internal/bench"
	"github.com/ecospa/ecospa/internal/mpi"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/workload"
)

// ranksRun makes a command of the program under mpirun; without mpirun the test says that it proved nothing.
func ranksRun(t *testing.T, n int, env []string, args ...string) *exec.Cmd {
	t.Helper()
	if !mpi.Built {
		t.Skip("NOT RUN: without -tags mpi nothing about runs on several ranks is tested")
	}
	if _, err := exec.LookPath("mpirun"); err != nil {
		t.Skip("NOT RUN: no mpirun here, so nothing about runs on several ranks was tested (Debian: openmpi-bin)")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "mpirun", append([]string{"-np", strconv.Itoa(n), "--oversubscribe", self}, args[1:]...)...)
	cmd.Env = append(append(os.Environ(), asProgram+"=1", "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "OMPI_MCA_odls_base_sigkill_timeout=1"), env...)
	return cmd
}

func ranksMust(t *testing.T, n int, args ...string) string {
	t.Helper()
	out, err := ranksRun(t, n, nil, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%d ranks: %v\n%s", n, err, out)
	}
	return string(out)
}

// sameCurve compares the losses of two runs. float32 sums in another order differ in
// the last bits, which some tens of steps amplify a little.
func sameCurve(t *testing.T, what, a, b string) {
	t.Helper()
	x, y := metrics(t, a), metrics(t, b)
	if len(x) != len(y) || len(x) == 0 {
		t.Fatalf("%s: %d and %d steps", what, len(x), len(y))
	}
	for i := range x {
		p, q := x[i]["loss"].(float64), y[i]["loss"].(float64)
		if math.Abs(p-q) > 1e-4*p || x[i]["params"] != y[i]["params"] {
			t.Fatalf("%s: step %d: loss %g with %v parameters, expected %g with %v", what, i+1, q, y[i]["params"], p, x[i]["params"])
		}
	}
}

func TestRanks(t *testing.T) {
	tmp := t.TempDir()
	at := func(name string) string { return filepath.Join(tmp, name, "run") }
	args := func(name string, more ...string) []string {
		return small(at(name), append([]string{"train.threads=1", "checkpoint.every=10", "prune.events=2"}, more...)...)
	}
	mustRun(t, args("one")...)
	out := ranksMust(t, 2, args("two")...)
	sameCurve(t, "two ranks", at("one"), at("two"))
	if n := strings.Count(out, "planned memory  "); n != 1 || !strings.Contains(out, "ranks     2 of Open MPI") {
		t.Errorf("%d reports:\n%s", n, out)
	}

	// A rank is killed: the job ends, and goes on with another number of ranks.
	cmd := ranksRun(t, 2, nil, args("killed")...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, filepath.Join(at("killed"), "state", "newest"))
	if err := syscall.Kill(child(t, cmd.Process.Pid), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(log.String(), "signal 9") {
		t.Errorf("a rank was killed: %v\n%s", err, log.String())
	}
	ranksMust(t, 4, "ecospa", "pretrain", "-c", filepath.Join(at("killed"), "run.yaml"), "--set", "train.shard_optimizer=true", "--resume", "--allow-change", "train.shard_optimizer", "--out", at("killed"))
	sameCurve(t, "killed, then four ranks", at("one"), at("killed"))

	// An interruption is saved: of one rank, then of mpirun itself, which waits a
	// second before it passes the signal on. One process goes on.
	long := []string{"train.steps=120", "train.batch=32", "train.context=64", "model.width=160", "model.ffn=320"} // seconds, not milliseconds
	mustRun(t, args("long", long...)...)
	// mpirun waits as long before it passes a signal on as it then waits for the end: a second.
	interrupt(t, ranksRun(t, 2, nil, args("stopped", long...)...), at("stopped"), func(cmd *exec.Cmd) (int, syscall.Signal) {
		return child(t, cmd.Process.Pid), syscall.SIGTERM
	})
	interrupt(t, ranksRun(t, 2, nil, "ecospa", "pretrain", "--resume", "--out", at("stopped")), at("stopped"), func(cmd *exec.Cmd) (int, syscall.Signal) {
		return cmd.Process.Pid, syscall.SIGINT
	})
	mustRun(t, "ecospa", "pretrain", "--resume", "--out", at("stopped"))
	sameCurve(t, "interrupted, then one process", at("long"), at("stopped"))
}

// interrupt runs ranks until the run has a new step, signals one process and expects
// all ranks to end, saved, before the run's last step.
func interrupt(t *testing.T, cmd *exec.Cmd, run string, whom func(*exec.Cmd) (pid int, s syscall.Signal)) {
	t.Helper()
	size := func() int64 {
		st, err := os.Stat(filepath.Join(run, "metrics.jsonl"))
		if err != nil {
			return 0
		}
		return st.Size()
	}
	before := size()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(3 * time.Minute); size() <= before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no step was made:\n%s", log.String())
		}
	}
	pid, sig := whom(cmd)
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(log.String(), "interrupted after step") {
		t.Errorf("%v: %v\n%s", sig, err, log.String())
	}
}

// lastJSON is the one JSON object that ranks printed, between what mpirun says.
func lastJSON(t *testing.T, cmd *exec.Cmd, v any) {
	t.Helper()
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, log.String())
	}
	d := json.NewDecoder(bytes.NewReader(out))
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if rest, _ := io.ReadAll(d.Buffered()); strings.TrimSpace(string(rest)) != "" {
		t.Errorf("behind the first object: %s", rest)
	}
}

// TestRanksPrune: prune, eval and bench step on ranks do what one process does.
func TestRanksPrune(t *testing.T) {
	tmp := t.TempDir()
	dense, text := filepath.Join(tmp, "dense"), filepath.Join(tmp, "text.txt")
	mustRun(t, small(dense, "prune.target=", "train.steps=30")...)
	if err := os.WriteFile(text, []byte(strings.Repeat("Anna was a small fox who lived by the river. Her best friend was Tom the bear.\n", 60)), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, more := range map[string][]string{
		"default": nil, "taylor, plain": {"--criterion", "taylor", "--basis", "none", "--compensate", "none", "--gains=false", "--allocation", "global"},
		"uncoupled": {"--uncoupled"}, "rounds": {"--steps", "2"},
	} {
		args := func(kind string) []string {
			return append([]string{"ecospa", "prune", "--from", dense, "--data", text, "--sequences", "15", "--target", "0.6x", "--recover", "none", "--threads", "1", "--json", "--out", filepath.Join(tmp, name+kind)}, more...)
		}
		var one, two prune.Report
		out, _ := mustRun(t, args("one")...)
		if err := json.Unmarshal([]byte(out), &one); err != nil {
			t.Fatal(err)
		}
		lastJSON(t, ranksRun(t, 2, nil, args("two")...), &two)
		near := func(what string, x, y float64) {
			t.Helper()
			if !(math.Abs(x-y) <= 1e-4*math.Abs(y)) {
				t.Errorf("%s: %s is %g on two ranks, %g on one", name, what, x, y)
			}
		}
		near("the loss before", two.Before.Loss, one.Before.Loss)
		near("the loss after", two.After.Loss, one.After.Loss)
		if two.After.Params != one.After.Params || two.Zeroed != one.Zeroed || two.Trials != one.Trials {
			t.Errorf("%s: %+v on two ranks, %+v on one", name, two, one)
		}
	}

	// The plan of a dry run: the same units stay.
	plan := func(n int, path string) *coupled.Plan {
		args := []string{"ecospa", "prune", "--from", dense, "--data", text, "--sequences", "15", "--target", "0.6x", "--threads", "1", "--dry-run", "--out", path}
		if n == 1 {
			mustRun(t, args...)
		} else {
			ranksMust(t, n, args...)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		p, err := coupled.ReadPlan(f)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if a, b := fmt.Sprint(plan(1, filepath.Join(tmp, "p1")).Cut()), fmt.Sprint(plan(4, filepath.Join(tmp, "p4")).Cut()); a != b {
		t.Errorf("four ranks keep\n%s\none process\n%s", b, a)
	}

	var a, b workload.TextResult
	args := []string{"ecospa", "eval", "--model", dense, "--data", text, "--json", "--threads", "1"}
	out, _ := mustRun(t, args...)
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		t.Fatal(err)
	}
	lastJSON(t, ranksRun(t, 2, nil, args...), &b)
	if b.Tokens != a.Tokens || math.Abs(b.Loss-a.Loss) > 1e-5*a.Loss {
		t.Errorf("eval on two ranks: %+v, on one %+v", b, a)
	}

	for _, more := range [][]string{{"--wire", "bf16"}, {"--shard-optimizer"}, nil} {
		var r bench.Result
		lastJSON(t, ranksRun(t, 2, nil, append([]string{"ecospa", "bench", "step", "--model", "llama-mini", "--batch", "2", "--seq", "16", "--steps", "2", "--threads", "1", "--json"}, more...)...), &r)
		element := int64(4)
		if more != nil && more[0] == "--wire" {
			element = 2
		}
		// Gradients, padded, and a few numbers for agreement; with shards the rank's weights as well.
		least, most := element*int64(r.Params), element*int64(r.Params)*11/10+100
		if len(more) == 1 {
			least, most = least*7/5, most*8/5 // parts end where blocks do
		}
		if r.Ranks != 2 || r.Batch != 2 || r.Ms <= 0 || r.WireBytes < least || r.WireBytes > most || r.Moments <= 0 {
			t.Errorf("%v: %+v, expected %d to %d bytes a step", more, r, least, most)
		}
	}
	var w WireResult
	lastJSON(t, ranksRun(t, 2, nil, "ecospa", "bench", "wire", "--steps", "1", "--json"), &w)
	if w.Ranks != 2 || len(w.Rows) != 10 || w.Rows[9].Bytes != 2<<24 || w.Rows[9].GBs <= 0 {
		t.Errorf("bench wire: %+v", w)
	}
	if code, _, _ := runCommand(t, t.Context(), "ecospa", "bench", "wire"); code != exitUsage {
		t.Errorf("bench wire in one process: exit code %d, expected %d", code, exitUsage)
	}
	if code, _, log := runCommand(t, t.Context(), "ecospa", "bench", "step", "--wire", "bf16"); code != exitUsage || !strings.Contains(log, "mpirun") {
		t.Errorf("--wire in one process: %d, %s", code, log)
	}
}

// waitFor waits until a file is there.
func waitFor(t *testing.T, path string) {
	t.Helper()
	for range 3000 {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s does not appear", path)
}

// child is a rank that mpirun started.
func child(t *testing.T, parent int) int {
	t.Helper()
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	if err != nil {
		t.Fatal(err)
	}
	pids := strings.Fields(string(list))
	if len(pids) == 0 {
		t.Fatal("mpirun has no child")
	}
	pid, err := strconv.Atoi(pids[len(pids)-1])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestRanksRefuse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	for name, c := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"no library":  {[]string{"ECOSPA_MPI_LIBRARY=libnothing.so"}, small(dir), "or name a library in ECOSPA_MPI_LIBRARY"},
		"odd batch":   {nil, small(dir, "train.batch=3"), "2 ranks do not divide"},
		"not for two": {nil, []string{"ecospa", "inspect", "--model", dir}, "runs in one process"},
		"infer":       {nil, []string{"ecospa", "bench", "infer"}, "runs in one process"},
		"choices":     {nil, []string{"ecospa", "eval", "--model", dir, "--choices", "x"}, "runs in one process"},
		"odd bench":   {nil, []string{"ecospa", "bench", "step", "--batch", "3"}, "2 ranks do not divide"},
	} {
		out, err := ranksRun(t, 2, c.env, c.args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v, expected %q in\n%s", name, err, c.want, out)
		}
		if n := strings.Count(string(out), c.want); n > 1 {
			t.Errorf("%s: said %d times:\n%s", name, n, out)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a refused run left a directory")
	}
}

package cmd

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// asProgram makes the test binary the program itself.
const asProgram = "ECOSPA_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		Main()
	}
	dir, err := os.MkdirTemp("", "ecospa-test-cache-") // not the user's
	if err != nil {
		panic(err)
	}
	os.Setenv("XDG_CACHE_HOME", dir)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// Set by scripts/crash.sh for the long form.
var (
	crashKills = flag.Int("crash.kills", 5, "kills of each run of TestKilledRunEndsTheSame")
	crashSeed  = flag.Uint64("crash.seed", 0, "of the moments at which it kills; 0 is another one each time")
)

// program is a run of the program in a process of its own.
type program struct {
	cmd *exec.Cmd
	log bytes.Buffer
}

func start(t *testing.T, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	p := &program{cmd: exec.CommandContext(ctx, self, args[1:]...)}
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// alive reports whether the process still runs.
func (p *program) alive() bool { return p.cmd.Process.Signal(syscall.Signal(0)) == nil && !p.zombie() }

// zombie reports whether it has ended and waits to be reaped.
func (p *program) zombie() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return true
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return bytes.HasPrefix(rest, []byte("Z"))
}

// writing reports whether a checkpoint of the run is half written.
func writing(dir string) bool {
	entries, _ := os.ReadDir(filepath.Join(dir, "state"))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".tmp-") {
			return true
		}
	}
	return false
}

// moment waits for the moment to kill: some steps further on, within a
// checkpoint, or at any time at all.
func (p *program) moment(rng *rand.Rand, dir string) {
	size := func() int64 {
		if st, err := os.Stat(filepath.Join(dir, "metrics.jsonl")); err == nil {
			return st.Size()
		}
		return 0
	}
	pause := func(max time.Duration) { time.Sleep(time.Duration(rng.Int64N(int64(max)))) }
	switch rng.IntN(5) {
	case 0:
		pause(150 * time.Millisecond) // start-up included
	case 1, 2:
		for end := size() + int64(180*(1+rng.IntN(12))); size() < end && p.alive(); {
			time.Sleep(100 * time.Microsecond)
		}
	default:
		late := size() + 25*180 // should all checkpoints slip by
		for skip := rng.IntN(3); skip >= 0; skip-- {
			for writing(dir) && size() < late && p.alive() {
			}
			for !writing(dir) && size() < late && p.alive() {
			}
		}
		pause(4 * time.Millisecond)
	}
}

// TestKilledRunEndsTheSame kills a run at random moments, in the middle of
// checkpoints above all, and resumes it each time: it ends with the bytes of a
// run that nothing happened to.
func TestKilledRunEndsTheSame(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("SKIPPED: killing at chosen moments needs /proc")
	}
	steps := fmt.Sprint("train.steps=", 30+40*(*crashKills))
	common := []string{steps, "checkpoint.every=5", "train.eval_every=13", "prune.events=5"}
	pretrain := func(more ...string) func(out string) []string {
		return func(out string) []string { return small(out, append(slices.Clone(common), more...)...) }
	}
	base := filepath.Join(scratch(t), "base")
	mustRun(t, small(base, "train.steps=10", "prune.target=", "train.sample=0")...)
	further := filepath.Join(filepath.Dir(base), "further.yaml")
	if err := os.WriteFile(further, []byte("data: {synthetic: stories, bytes: 60KB}\ntrain: {batch: 4, context: 32, sample: 8}\nprune: {target: 0.8x}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	finetune := func(more ...string) func(out string) []string {
		return func(out string) []string {
			args := []string{"ecospa", "finetune", "--from", base, "-c", further, "--out", out}
			for _, s := range append(slices.Clone(common), more...) {
				args = append(args, "--set", s)
			}
			return args
		}
	}
	pixels, pictures := filepath.Join(filepath.Dir(base), "images.csv"), filepath.Join(filepath.Dir(base), "images.yaml")
	var csv strings.Builder
	for i := range 60 {
		for p := range 64 {
			fmt.Fprintf(&csv, "%d,", (i%3*50+p*(i%3+1)+i)%256)
		}
		fmt.Fprintln(&csv, i%3)
	}
	if err := errors.Join(os.WriteFile(pixels, []byte(csv.String()), 0o644), os.WriteFile(pictures, []byte("model: {family: vit, layers: 2, width: 32, heads: 4, image_size: 8, patch_size: 4, num_channels: 1}\n"+
		"data: {path: "+pixels+", shift: 1, flip: true}\ntrain: {batch: 4}\nprune: {target: 0.8x}\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	images := func(out string) []string {
		args := []string{"ecospa", "pretrain", "-c", pictures, "--out", out}
		for _, s := range append(slices.Clone(common), "train.threads=1") {
			args = append(args, "--set", s)
		}
		return args
	}
	for name, args := range map[string]func(out string) []string{
		"images":   images,
		"f32":      pretrain("train.micro_batch=2", "train.threads=2", "checkpoint.keep_best=true", "prune.qk_order=interactions"),
		"bf16":     pretrain("train.precision=bf16", "optim.moments=bf16", "train.threads=1", "model.family=gpt2", "model.kv_heads=0"),
		"adapters": finetune("lora.rank=4", "train.threads=1"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmp := scratch(t)
			whole := filepath.Join(tmp, "whole")
			if p := start(t, args(whole)...); p.cmd.Wait() != nil {
				t.Fatal(p.log.String())
			}
			seed := *crashSeed
			if seed == 0 {
				seed = rand.Uint64()
			}
			t.Logf("-crash.seed=%d", seed)
			rng := rand.New(rand.NewPCG(seed, uint64(len(name))))
			kills, within, runs := 0, 0, 0
			for ; kills < *crashKills; runs++ { // under load a run may end before all the kills
				dir := filepath.Join(tmp, fmt.Sprint("killed-", runs))
				for done := false; !done; {
					now := []string{"ecospa", args(dir)[1], "--resume", "--out", dir}
					if _, err := os.Stat(filepath.Join(dir, "run.yaml")); err != nil {
						now = args(dir) // killed before there was a run
					}
					p := start(t, now...)
					if kills < *crashKills {
						p.moment(rng, dir)
						_ = p.cmd.Process.Kill()
					}
					err := p.cmd.Wait()
					var exit *exec.ExitError
					switch {
					case err == nil:
						done = true
					case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
						kills++
						if writing(dir) {
							within++
						}
					default:
						t.Fatalf("after %d kills: %v\n%s", kills, err, p.log.String())
					}
				}
				if writing(dir) {
					t.Error("the finished run has a half-written checkpoint")
				}
				sameRun(t, whole, dir)
				sameState(t, whole, dir)
				samePlans(t, whole, dir)
			}
			t.Logf("%d kills, %d of them within a checkpoint, in %d runs of %s", kills, within, runs, steps)
			if within == 0 && kills >= 20 {
				t.Error("no checkpoint was hit: that means nothing")
			}
		})
	}
}

// sameState compares the files of the newest checkpoints, those aside that hold
// times.
func sameState(t *testing.T, whole, dir string) {
	t.Helper()
	newest := filepath.Join("state", "newest")
	files, err := os.ReadDir(filepath.Join(whole, newest))
	if err != nil || len(files) < 5 {
		t.Fatalf("files %v (%v)", files, err)
	}
	for _, f := range files {
		if f.Name() == "manifest.json" || f.Name() == checkpoint.TrainerFile {
			continue
		}
		a, erra := os.ReadFile(filepath.Join(whole, newest, f.Name()))
		b, errb := os.ReadFile(filepath.Join(dir, newest, f.Name()))
		if erra != nil || errb != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs (%v, %v)", f.Name(), erra, errb)
		}
	}
}

// samePlans compares the plans of the pruning events.
func samePlans(t *testing.T, whole, dir string) {
	t.Helper()
	plans, err := filepath.Glob(filepath.Join(whole, "plans", "*.json"))
	if err != nil || len(plans) == 0 {
		t.Fatalf("plans %v (%v)", plans, err)
	}
	for _, plan := range plans {
		a, erra := os.ReadFile(plan)
		b, errb := os.ReadFile(filepath.Join(dir, "plans", filepath.Base(plan)))
		if erra != nil || errb != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs (%v, %v)", filepath.Base(plan), erra, errb)
		}
	}
}

// TestSignals: the first signal saves and exits with 130; a second one ends the
// process at once, and the run goes on all the same.
func TestSignals(t *testing.T) {
	tmp := scratch(t)
	whole, dir := filepath.Join(tmp, "whole"), filepath.Join(tmp, "run")
	more := []string{"train.steps=150", "train.threads=1", "checkpoint.every=10"}
	if p := start(t, small(whole, more...)...); p.cmd.Wait() != nil {
		t.Fatal(p.log.String())
	}
	rng := rand.New(rand.NewPCG(1, 1))
	args := small(dir, more...)
	finishing := regexp.MustCompile("finishing step [0-9]+, saving; once more discards it\n")
	for _, signals := range [][]syscall.Signal{{syscall.SIGINT}, {syscall.SIGTERM}, {syscall.SIGHUP}, {syscall.SIGINT, syscall.SIGINT}, {syscall.SIGTERM, syscall.SIGINT}} {
		if signals[0] == syscall.SIGHUP && signal.Ignored(syscall.SIGHUP) {
			t.Log("NOT RUN: a hangup, which this process and its children ignore (nohup)")
			continue
		}
		p := start(t, args...)
		metrics := filepath.Join(dir, "metrics.jsonl")
		go cancelAfter(t.Context(), func() {
			for i, s := range signals {
				if i > 0 {
					time.Sleep(time.Duration(rng.IntN(3)) * time.Millisecond)
				}
				_ = p.cmd.Process.Signal(s)
			}
		}, metrics, 10)
		err := p.cmd.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatalf("%v: %v\n%s", signals, err, p.log.String())
		}
		status := exit.Sys().(syscall.WaitStatus)
		saved := status.ExitStatus() == exitInterrupted && finishing.MatchString(p.log.String()) && strings.Contains(p.log.String(), "state saved; go on with: ecospa pretrain --resume --out "+dir)
		killed := status.Signaled() && status.Signal() == signals[len(signals)-1] && len(signals) > 1
		if !saved && !killed {
			t.Errorf("%v: %v\n%s", signals, err, p.log.String())
		}
		args = []string{"ecospa", "pretrain", "--resume", "--out", dir}
	}
	if p := start(t, args...); p.cmd.Wait() != nil {
		t.Fatal(p.log.String())
	}
	sameRun(t, whole, dir)
}

// sameRun compares the model and the metrics, without times, of two runs.
func sameRun(t *testing.T, whole, dir string) {
	t.Helper()
	a, err := os.ReadFile(filepath.Join(whole, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("model.safetensors differs from that of the uninterrupted run (%v)", err)
	}
	la, lb := metrics(t, whole), metrics(t, dir)
	if len(la) != len(lb) {
		t.Fatalf("%d lines of metrics, expected %d", len(lb), len(la))
	}
	for i := range la {
		for _, key := range []string{"step", "loss", "lr", "grad_norm", "params", "tokens", "val_loss", "pruned"} {
			if la[i][key] != lb[i][key] {
				t.Fatalf("line %d: %s is %v, expected %v", i+1, key, lb[i][key], la[i][key])
			}
		}
	}
}

// scratch is a directory in memory where the system has one.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ecospa-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

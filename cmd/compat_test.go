package cmd

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/workload"
)

// unpack writes the files and links of a .tar.gz into a new directory.
func unpack(t *testing.T, archive string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, path)
		default:
			var text []byte
			if text, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, text, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// fingerprint is a hash of the tensors of a safetensors file by name, whatever the
// order and the metadata of its header.
func fingerprint(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data := b[8+binary.LittleEndian.Uint64(b):]
	header := map[string]struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}{}
	if err := json.Unmarshal(b[8:len(b)-len(data)], &header); err != nil {
		t.Fatal(err)
	}
	delete(header, "__metadata__")
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(header)) {
		h := header[name]
		fmt.Fprintf(sum, "%s %s %s\n", name, h.DType, strings.ReplaceAll(strings.Trim(fmt.Sprint(h.Shape), "[]"), " ", "x"))
		sum.Write(data[h.Offsets[0]:h.Offsets[1]])
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// asBefore writes a directory's adapters, which are laid out for PEFT, as that program did.
func asBefore(t *testing.T, dir string) {
	t.Helper()
	b, err := bundle.Open(dir, bundle.Options{KeepAdapters: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	files := checkpoint.Model{}.Files(b.Adapters.Set, model.AdapterTensors(b.Adapters.Set), "F32")[1:]
	if err := checkpoint.WriteDir(dir+"-before", files); err != nil {
		t.Fatal(err)
	}
}

// TestFilesOfCommitEbeec54: runs that the program of commit ebeec54 was interrupted in
// end with the weights that it would have given itself; its models, plans and scores
// prune as with it. testdata/compat/README.md says how the files were made.
func TestFilesOfCommitEbeec54(t *testing.T) {
	const interrupted, lora, tuned, byPlan, byScores = "interrupted/model.safetensors", "lora/adapter-before/model.safetensors", "tuned/model.safetensors", "by-plan/model.safetensors", "by-scores/model.safetensors"
	want := map[string]map[string]string{ // by path of the kernels
		"avx2":     {interrupted: "1072114ec4621203", lora: "cdc75dc63a5b2fb2", tuned: "ed1d0736d11b34d2", byPlan: "e03f97c0b9f711e3", byScores: "9a8d3d9a83efcb38"},
		"portable": {interrupted: "818c44a58edb3067", lora: "191af05a1629b7b2", tuned: "0bded38d1a3ddcfe", byPlan: "cc2c984fad49f2e3", byScores: "9a8d3d9a83efcb38"},
	}
	archive, err := filepath.Abs("../testdata/compat/ebeec54.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	now := kernel.CurrentPath()
	defer kernel.UsePath(now)
	for path, hashes := range want {
		t.Run(path, func(t *testing.T) {
			if runtime.GOARCH != "amd64" {
				t.Skipf("NOT COMPARED: the results of %s differ in the last bits", runtime.GOARCH)
			}
			if err := kernel.UsePath(path); err != nil {
				t.Skipf("NOT COMPARED: %v", err)
			}
			t.Chdir(unpack(t, archive))
			_, log := mustRun(t, "ecospa", "pretrain", "--resume", "--out", "interrupted")
			if !strings.Contains(log, "from the checkpoint of step 101") {
				t.Errorf("not resumed:\n%s", log)
			}
			mustRun(t, "ecospa", "finetune", "--resume", "--out", "lora")
			asBefore(t, "lora/adapter")
			mustRun(t, "ecospa", "finetune", "--resume", "--out", "tuned")
			prune := []string{"ecospa", "prune", "--from", "base", "--data", "text.txt", "--context", "32", "--sequences", "16", "--threads", "1", "--dtype", "f32", "--recover", "none"}
			mustRun(t, append(prune, "--sequences", "2", "--plan", "plan.json", "--out", "by-plan")...)
			mustRun(t, append(prune, "--scores", "scores.bin", "--target", "0.8x", "--of", "prunable", "--basis", "none", "--compensate", "none", "--gains=false",
				"--allocation", "global", "--out", "by-scores")...)
			for file, hash := range hashes {
				if got := fingerprint(t, file); got != hash {
					t.Errorf("%s has the tensors %s, with the program of ebeec54 %s", file, got, hash)
				}
			}
			mustRun(t, "ecospa", "prune", "--from", "pruned", "--data", "text.txt", "--context", "32", "--target", "0.9x", "--of", "prunable", "--out", "twice")
			out, _ := mustRun(t, "ecospa", "eval", "--model", "pruned", "--data", "text.txt", "--context", "32", "--json")
			var v workload.TextResult
			if err := json.Unmarshal([]byte(out), &v); err != nil {
				t.Fatal(err)
			}
			if v.Params != 6096 || v.Tokens != 3338 || !(v.Loss > 3.0754 && v.Loss < 3.0756) {
				t.Errorf("the pruned model has loss %.6f on %d tokens and %d parameters, expected 3.075473, 3338 and 6096", v.Loss, v.Tokens, v.Params)
			}
		})
	}
}

// TestPromptsOfCommitEbeec54: a run on prompts and responses that the program of commit
// ebeec54 began goes on with the text as that encoded it, again and again, and ends with
// the weights that it would have given itself.
func TestPromptsOfCommitEbeec54(t *testing.T) {
	archive, err := filepath.Abs("../testdata/compat/ebeec54-prompts.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(unpack(t, archive))
	for range 2 {
		code, _, log := runCommand(t, t.Context(), "ecospa", "finetune", "--resume", "--out", "cut")
		if code != exitOK {
			t.Fatalf("exit code %d\n%s", code, log)
		}
	}
	if got := fingerprint(t, "cut/model.safetensors"); got != "3f02eb9239e1537c" && kernel.CurrentPath() == "avx2" {
		t.Errorf("the run ends with the tensors %s, with the program of ebeec54 3f02eb9239e1537c", got)
	}
	_, log := mustRun(t, "ecospa", "finetune", "--resume", "--out", "cut", "--steps", "62")
	if !strings.Contains(log, "from the checkpoint of step 60") || !strings.Contains(log, "encoded as by the version that began the run") {
		t.Errorf("not trained longer:\n%s", log)
	}
	refused(t, []bad{{"another text", append([]string{"ecospa", "finetune", "--resume", "--out", "cut", "--steps", "64", "--data"}, put(t, "other.jsonl", strings.Repeat(`{"prompt":"a","response":" b"}`+"\n", 60))), 2, []string{"data.path"}}})
}

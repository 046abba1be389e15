package run

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
)

// TestTeacherCopy: from the first event on a run learns from the model as it was before it, whose
// forward passes count; an interrupted one goes on with the same teacher.
func TestTeacherCopy(t *testing.T) {
	tmp := t.TempDir()
	plain, whole, dir := filepath.Join(tmp, "plain"), filepath.Join(tmp, "whole"), filepath.Join(tmp, "run")
	with := []string{"prune.start=0.3", "prune.end=0.6", "teacher.copy=true", "teacher.temperature=1"}
	if _, err := trained(t, tiny(t, plain, with[:2]...), Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := trained(t, tiny(t, whole, with...), Options{}); err != nil {
		t.Fatal(err)
	}
	a, b := metrics(t, plain), metrics(t, whole)
	for i := range a {
		x, y := a[i]["flops"].(float64), b[i]["flops"].(float64)
		if learns := i >= 3; learns != (y > 1.2*x) || !learns && (x != y || a[i]["loss"] != b[i]["loss"]) {
			t.Errorf("step %d: %g operations and a loss of %v with a teacher, %g and %v without", i+1, y, b[i]["loss"], x, a[i]["loss"])
		}
	}
	if a[9]["loss"] == b[9]["loss"] || a[0]["flops"] != a[2]["flops"] || a[3]["flops"] == a[2]["flops"] {
		t.Errorf("the last losses are %v and %v, the operations %v, %v and %v", a[9]["loss"], b[9]["loss"], a[0]["flops"], a[2]["flops"], a[3]["flops"])
	}
	stopAt(t, tiny(t, dir, with...), 4)
	if _, err := resumed(t, dir, Options{}); err != nil {
		t.Fatal(err)
	}
	sameRun(t, whole, dir)
	samePlans(t, whole, dir)

	stopAt(t, tiny(t, filepath.Join(tmp, "lost"), with...), 4)
	if err := os.RemoveAll(filepath.Join(tmp, "lost", copyDir)); err != nil {
		t.Fatal(err)
	}
	if _, err := resumed(t, filepath.Join(tmp, "lost"), Options{}); err == nil || !strings.Contains(err.Error(), filepath.Join("lost", copyDir)) {
		t.Errorf("a run goes on without its teacher: %v", err)
	}
}

// TestTeacherCopyRefused: a copy needs a run that prunes, and no other teacher.
func TestTeacherCopyRefused(t *testing.T) {
	for name, more := range map[string][]string{
		"nothing is pruned": {"prune.target="},
		"two teachers":      {"teacher.model=x"},
		"16 bits":           {"train.weights=bf16"},
	} {
		_, err := trained(t, tiny(t, filepath.Join(t.TempDir(), "run"), append(more, "teacher.copy=true")...), Options{})
		if fault.Of(err) != fault.Config || !strings.Contains(err.Error(), "teacher.copy") {
			t.Errorf("%s: %v", name, errors.Unwrap(err))
		}
	}
}

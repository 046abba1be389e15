package shell

import (
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

func TestMan(t *testing.T) {
	long := "a text of more than eighty bytes, in which one word begins with a dot and must not be taken for a request: .gguf .txt"
	app := &cli.App{Name: "tool", Usage: "do things", Version: "1.2.3", Commands: []*cli.Command{{Name: "cut", Usage: long}}}
	page, err := Man(app, time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC), "0 success, 1 failure")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`.TH TOOL 1 "November 27, 2026" "tool 1.2.3"`, "\n.SS cut\n", "\n.SH EXIT STATUS\n0 success, 1 failure\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	for line := range strings.Lines(page) {
		if len(line) > 81 || strings.HasPrefix(line, ".gguf") || strings.HasPrefix(line, ".txt") {
			t.Errorf("line %q", line)
		}
	}
	if got := strings.Join(strings.Fields(page), " "); !strings.Contains(got, long) {
		t.Errorf("the text is another one:\n%s", page)
	}
}

func TestBuild(t *testing.T) {
	if v, _ := Build("1.0.0"); v != "1.0.0" {
		t.Errorf("linked 1.0.0: %q", v)
	}
	if v, _ := Build(""); v == "" || v == "(devel)" {
		t.Errorf("not linked: %q", v)
	}
}

package shell

import (
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// Man is the program's manual page, section 1, in roff: the page that urfave/cli writes with its commands as
// subsections, lines below 80 bytes, and a last section with what the exit codes mean. date may be zero.
func Man(app *cli.App, date time.Time, exitStatus string) (string, error) {
	page, err := app.ToManWithSection(1)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	stated := ""
	if !date.IsZero() {
		stated = date.Format("January 2, 2006")
	}
	commands := false
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, ".TH "):
			line = fmt.Sprintf(".TH %s 1 \"%s\" \"%s %s\"", strings.ToUpper(app.Name), stated, app.Name, app.Version)
		case line == ".SH COMMANDS":
			commands = true
		case commands && strings.HasPrefix(line, ".SH "):
			line = ".SS" + strings.TrimPrefix(line, ".SH")
		}
		out.WriteString(fold(line))
	}
	out.WriteString(".SH EXIT STATUS\n" + fold(exitStatus))
	return out.String(), nil
}

// fold breaks a line of running text at blanks. Requests, which begin with a dot, stay
// one line, and no part of a text begins with one.
func fold(line string) string {
	const width = 76
	if strings.HasPrefix(line, ".") || len(line) <= width {
		return line + "\n"
	}
	var out strings.Builder
	n := 0
	for i, word := range strings.Fields(line) {
		switch {
		case i == 0:
		case n+1+len(word) > width && !strings.HasPrefix(word, ".") && !strings.HasPrefix(word, "'"):
			out.WriteByte('\n')
			n = 0
		default:
			out.WriteByte(' ')
			n++
		}
		out.WriteString(word)
		n += len(word)
	}
	return out.String() + "\n"
}

// Build is the version of the running program and the time of its commit: what was set
// at link time, else what the go command recorded of the module ("go install
// MODULE@VERSION") or of the work tree. The time is zero where nothing was recorded.
func Build(linked string) (version string, committed time.Time) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return linked, time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			committed, _ = time.Parse(time.RFC3339, s.Value) // the go command wrote it; zero is no date
		}
	}
	if linked == "" {
		linked = strings.TrimPrefix(info.Main.Version, "v")
	}
	if linked == "" || linked == "(devel)" {
		linked = "devel"
	}
	return linked, committed
}

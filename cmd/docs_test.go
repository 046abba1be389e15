package cmd

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/bench"
	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/export"
	"github.com/ecospa/ecospa/pkg/lab"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/serve"
	"github.com/ecospa/ecospa/pkg/train"
	"github.com/ecospa/ecospa/pkg/workload"
)

// TestReference holds docs/cli.md, which is made from the flags and the result
// types. ECOSPA_UPDATE=1 go test ./cmd -run TestReference writes it anew.
func TestReference(t *testing.T) {
	var b strings.Builder
	writeReference(&b, newApp(strings.NewReader(""), io.Discard, io.Discard))
	const path = "../docs/cli.md"
	if os.Getenv("ECOSPA_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Error("docs/cli.md is not what the binary says; write it anew: ECOSPA_UPDATE=1 go test ./cmd -run TestReference")
	}
}

// results are what --json prints, by subcommand.
var results = []struct {
	command string
	of      any
}{
	{"prune", prune.Report{}}, {"prune, before and after", prune.ReportSide{}}, {"prune, speed", prune.Speed{}}, {"prune, vocabulary", prune.VocabularyReport{}}, {"prune, each of rows", prune.Row{}}, {"prune, memory_before and memory_after", prune.PlannedMemory{}}, {"eval", workload.TextResult{}}, {"eval, a model of images", workload.ImageResult{}}, {"eval --choices", workload.Choices{}}, {"eval --importance", prune.Importance{}}, {"eval --importance, each of rows", prune.ImportanceRow{}},
	{"eval --sensitivity", prune.Sensitivities{}}, {"eval --sensitivity, each of kinds", prune.Sensitivity{}}, {"inspect", bundle.Facts{}}, {"inspect, each of layers", bundle.LayerFacts{}},
	{"export", export.Report{}}, {"generate", serve.Continued{}}, {"embed", workload.EmbeddingResult{}},
	{"bench step, bench infer", bench.Result{}},
	{"bench step --versus-dense", bench.Pair{}}, {"bench infer --all-modes", InferModes{}},
	{"bench compare", lab.CompareResult{}}, {"bench compare, each of rows", lab.CompareRow{}}, {"bench compare, each of cells", lab.CompareCell{}}, {"bench compare, a mean", lab.Spread{}}, {"bench frontier", lab.FrontierResult{}}, {"bench frontier, each of rows", lab.FrontierRow{}}, {"bench frontier, each of tried", lab.FrontierTry{}},
	{"bench wire", WireResult{}}, {"bench wire, each of rows", dist.Rate{}},
	{"bench paper", lab.PaperResult{}}, {"bench paper, each of rows", lab.PaperRowResult{}}, {"bench paper, each of variants", lab.PaperSummary{}}, {"bench paper, each of claims", lab.PaperVerdict{}}, {"bench paper, each of cells", lab.PaperCell{}},
	{"doctor", bench.Machine{}}, {"doctor, each of manners", bench.Manner{}}, {"doctor, each of sizes", bench.MachineSize{}},
	{"report", report.Written{}}, {"report, each of runs", report.Facts{}},
	{"metrics.jsonl of a run directory, each line", train.Record{}}, {"metrics.jsonl, memory", train.Memory{}}, {"metrics.jsonl, event", train.Event{}}, {"metrics.jsonl, rewards and val_rewards", train.Rewards{}}, {"metrics.jsonl, each of layers", train.LayerNorm{}}, {"summary.json of a run directory", train.Summary{}}, {"summary.json, before and after", train.Snapshot{}},
}

func writeReference(w io.Writer, app *cli.App) {
	fmt.Fprintf(w, "# Command line\n\nMade from the binary; `ecospa COMMAND --help` says the same.\n")
	fmt.Fprintf(w, "\nExit status: 0 success, 1 failure, 2 usage or configuration, 3 bad input file, 130 interrupted (the message says whether state was saved).\n")
	for _, c := range app.Commands {
		writeCommand(w, "ecospa "+c.Name, c)
	}
	fmt.Fprintf(w, "\n## JSON results\n\n`--json` prints exactly one object on standard output. Keys are stable. A figure that is not known is null, or its key is absent, where its type says so.\n")
	for _, r := range results {
		fmt.Fprintf(w, "\n### %s\n\n| key | type |\n|---|---|\n", r.command)
		for _, f := range reflect.VisibleFields(reflect.TypeOf(r.of)) {
			key, more, _ := strings.Cut(f.Tag.Get("json"), ",")
			of := strings.TrimPrefix(f.Type.String(), "*")
			if more == "omitempty" {
				of += " or absent"
			} else if f.Type.Kind() == reflect.Pointer {
				of += " or null"
			}
			if key != "-" && !f.Anonymous && f.IsExported() {
				fmt.Fprintf(w, "| `%s` | %s |\n", key, of)
			}
		}
	}
}

func writeCommand(w io.Writer, name string, c *cli.Command) {
	fmt.Fprintf(w, "\n## %s\n\n%s.\n", name, strings.ToUpper(c.Usage[:1])+c.Usage[1:])
	if c.Description != "" {
		fmt.Fprintf(w, "\n%s\n", c.Description)
	}
	if len(c.Flags) > 0 {
		fmt.Fprintf(w, "\n| flag | meaning | default |\n|---|---|---|\n")
	}
	for _, f := range c.Flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok || f.Names()[0] == "help" {
			continue
		}
		names := make([]string, len(f.Names()))
		for i, n := range f.Names() {
			names[i] = strings.Repeat("-", min(2, len(n))) + n
		}
		place, text := unquote(d.GetUsage())
		def := d.GetValue()
		if r, ok := f.(cli.RequiredFlag); ok && r.IsRequired() {
			def = "required"
		}
		fmt.Fprintf(w, "| `%s%s` | %s | %s |\n", strings.Join(names, ", "), place, strings.ReplaceAll(text, "|", "\\|"), def)
	}
	for _, s := range c.Subcommands {
		writeCommand(w, name+" "+s.Name, s)
	}
}

// unquote finds the `PLACEHOLDER` of a usage text, as urfave/cli does.
func unquote(usage string) (place, text string) {
	before, rest, ok := strings.Cut(usage, "`")
	word, after, ok2 := strings.Cut(rest, "`")
	if !ok || !ok2 {
		return "", usage
	}
	return " " + word, before + word + after
}

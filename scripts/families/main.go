// Command families makes the table of docs/families.md: a small random model of every family
// goes through the whole program, and programs that nobody here wrote compute what it wrote.
//
//	go run ./scripts/families ECOSPA WORK docs/families.md [FAMILY...]
//
// ECOSPA is the binary; WORK a scratch directory whose node_modules has onnxruntime-node and
// node-llama-cpp (scripts/interop/package.json). It takes about ten minutes on two cores.
// With names of families only their rows are made; the page keeps the others.
package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// row is one family: a golden directory, whose config.json is made larger (families.json).
type row struct {
	Name      string         `json:"name"`
	Golden    string         `json:"golden"`
	Layers    int            `json:"layers"`    // that show everything in which the family's layers differ
	Keys      map[string]any `json:"keys"`      // of config.json, after all others
	Tokenizer string         `json:"tokenizer"` // a file; "" is bytes
	Words     string         `json:"words"`     // of the data; "" is some
	Vectors   string         `json:"vectors"`   // a model without a head whose vectors are compared
}

//go:embed families.json
var families []byte

func main() {
	log.SetFlags(0)
	if len(os.Args) < 4 {
		log.Fatal("expected ECOSPA WORK PAGE [FAMILY...]")
	}
	ecospa, err := filepath.Abs(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	w := &work{ecospa: ecospa, dir: os.Args[2], golden: "testdata/golden"}
	for _, name := range []string{"onnx.mjs", "gguf.mjs"} {
		text, err := os.ReadFile(filepath.Join("scripts/interop", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(w.dir, name), text, 0o644)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	var rows []row
	if err := json.Unmarshal(families, &rows); err != nil {
		log.Fatal(err)
	}
	only := os.Args[4:]
	for _, r := range rows {
		if len(only) > 0 && !slices.Contains(only, r.Name) {
			continue
		}
		log.Print(r.Name)
		cells, err := w.row(r)
		if err == nil {
			err = put(os.Args[3], rows, r.Name, "| "+strings.Join(cells, " | ")+" |\n")
		}
		if err != nil {
			log.Fatalf("%s: %v", r.Name, err)
		}
	}
}

const from, until = "<!-- made by scripts/families -->\n", "<!-- end -->"

// put puts a family's row into the page, which keeps those of the others.
func put(page string, rows []row, name, line string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), from)
	table, after, ok2 := strings.Cut(rest, until)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the table: %q and %q", page, from, until)
	}
	var out strings.Builder
	out.WriteString("\n| " + strings.Join(columns, " | ") + " |\n" + strings.Repeat("|---", len(columns)) + "|\n")
	for _, r := range rows {
		if r.Name == name {
			out.WriteString(line)
			continue
		}
		for old := range strings.Lines(table) {
			if strings.HasPrefix(old, "| "+r.Name+" |") {
				out.WriteString(old)
			}
		}
	}
	return os.WriteFile(page, []byte(before+from+out.String()+"\n"+until+after), 0o644)
}

package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/folder"
	"github.com/ecospa/ecospa/internal/progress"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/prune"
)

// Flags, and what is done with them, that several subcommands share.

func threadsFlag() cli.Flag {
	return &cli.IntFlag{Name: "threads", Usage: "worker threads, `N`; 0 is one per core"}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print one JSON object instead of text"}
}

// textFlags say how the text of a file is read.
func textFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "field", Value: "text", Usage: "`FIELD` of a record (.jsonl, .parquet, .csv) that holds the text"},
		&cli.StringFlag{Name: "prompt-field", Usage: "`FIELD` of a record with the prompt: given as context, excluded from the loss"},
		&cli.StringFlag{Name: "separator", Usage: "`LINE` between the documents of a .txt file, such as <|endoftext|>"},
		&cli.StringFlag{Name: "pack", Usage: "`HOW` documents become sequences: documents (attention stays within each) or stream (concatenated); default documents for records and with --separator, stream for .txt and .bin"},
		&cli.StringFlag{Name: "format", Usage: "`NAME` of the record format: text, or chats, of which the assistant's turns count: " + strings.Join(data.Formats()[1:], ", ") + "; default text if records have --field, else found from their keys"},
		&cli.StringFlag{Name: "template", Usage: "`NAME` of a chat template (chatml, zephyr, alpaca, plain) instead of the model's own; default its own, or chatml if it has none"},
	}
}

// textOptions are those flags' values.
func textOptions(c *cli.Context) data.Options {
	return data.Options{Field: c.String("field"), Prompt: c.String("prompt-field"), Separator: c.String("separator"), Pack: c.String("pack"), Format: c.String("format"), Template: c.String("template")}
}

// checkText reports the first of those values that makes no sense.
func checkText(o data.Options) error {
	switch {
	case o.Field == "":
		return errors.New("--field is empty, expected the name of a field")
	case o.Pack != "" && o.Pack != data.PackDocuments && o.Pack != data.PackStream:
		return fmt.Errorf("--pack is %q, expected documents or stream", o.Pack)
	}
	return o.Check("--")
}

// list splits a comma-separated flag.
func list(s string) []string {
	if s == "" {
		return nil
	}
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// numbers is a comma-separated flag of whole numbers.
func numbers(flag, s string) (out []int, err error) {
	for _, part := range list(s) {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, fmt.Errorf("--%s has %q, expected whole numbers with commas between", flag, part)
		}
		out = append(out, n)
	}
	return out, nil
}

// readBundle is openBundle of a command that shows how far it is.
func readBundle(path string, o bundle.Options, shown *progress.Work) (*bundle.Bundle, error) {
	shown.Phase("reading " + path)
	return openBundle(path, o, shown)
}

// openBundle opens a model and prints what there is to say about it to log.
func openBundle(path string, o bundle.Options, log io.Writer) (*bundle.Bundle, error) {
	b, err := bundle.Open(path, o)
	if err != nil {
		return nil, err
	}
	for _, n := range b.Notes {
		fmt.Fprintf(log, "note: %s: %s\n", path, n)
	}
	return b, nil
}

// subject is a model with worker threads, by default this rank's share of the cores.
func subject(b *bundle.Bundle, r ranks, threads int) prune.Subject {
	return prune.NewSubject(b.Model, b.Set, r.Threads(threads), r.Group)
}

// vacant refuses an --out that is there already, or that is the source; "" is none.
func vacant(out, from string, force bool) error {
	if out == "" {
		return nil
	}
	if _, err := os.Lstat(out); err == nil && !force {
		return fault.Usage(fmt.Errorf("%s is already there; give --force to overwrite it, or another name", out))
	}
	if same(from, out) {
		return fault.Usage(fmt.Errorf("--out is the source, %s: a model is never written over itself", from))
	}
	return folder.Writable(out) // before hours of work, not after them
}

// same reports whether two paths are one directory.
func same(a, b string) bool {
	x, err := filepath.EvalSymlinks(a)
	y, err2 := filepath.EvalSymlinks(b)
	return err == nil && err2 == nil && filepath.Clean(x) == filepath.Clean(y)
}

// show prints a result as text, or as one JSON object.
func show(out io.Writer, r fmt.Stringer, asJSON bool) error {
	if asJSON {
		return printJSON(out, r)
	}
	_, err := io.WriteString(out, r.String())
	return err
}

// printJSON prints one object.
func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

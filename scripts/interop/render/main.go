// Command render renders chat templates for a comparison with other renderers: each
// line of standard input is {"template": ..., "values": {...}}, each line of standard
// output {"text": ...} or {"error": ...}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/ecospa/ecospa/internal/jinja"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := bufio.NewWriter(os.Stdout)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for in.Scan() {
		var c struct {
			Template string
			Values   map[string]json.RawMessage
		}
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			return err
		}
		text, err := render(c.Template, c.Values)
		line := map[string]string{"text": text}
		if err != nil {
			line = map[string]string{"error": err.Error()}
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	return out.Flush()
}

func render(source string, raw map[string]json.RawMessage) (string, error) {
	t, err := jinja.Parse(source)
	if err != nil {
		return "", err
	}
	values := map[string]any{}
	for name, text := range raw {
		if values[name], err = jinja.FromJSON(text); err != nil {
			return "", err
		}
	}
	r, err := t.Render(values, time.Date(2026, 3, 7, 9, 5, 0, 0, time.UTC), jinja.Limits{})
	return r.Text, err
}

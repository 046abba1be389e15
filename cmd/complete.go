package cmd

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/export"
	"github.com/ecospa/ecospa/pkg/model"
)

// complete prints what may stand in place of the last word, one a line: commands, the
// flags of the command, the values of the flag before it, or files that it takes.
func complete(app *cli.App, words []string, out io.Writer) {
	if len(words) == 0 {
		return
	}
	cur, before := words[len(words)-1], words[:len(words)-1]
	c, subs := commandOf(app, before)
	var list []string
	switch flag := valueFlag(c, before); {
	case flag != "":
		list = valuesOf(c, flag, cur)
	case strings.HasPrefix(cur, "-"):
		list = flagsOf(c)
	case len(subs) > 0:
		for _, s := range subs {
			list = append(list, s.Name)
		}
	case c != nil && c.Name == "completion":
		list = slices.Sorted(maps.Keys(completions))
	case c != nil && c.ArgsUsage != "":
		list = files(cur, nil)
	}
	for _, s := range list {
		if strings.HasPrefix(s, cur) {
			fmt.Fprintln(out, s)
		}
	}
}

// commandOf is the command that the words name, and those that may follow it.
func commandOf(app *cli.App, words []string) (c *cli.Command, subs []*cli.Command) {
	subs = app.Commands
	for _, w := range words {
		i := slices.IndexFunc(subs, func(s *cli.Command) bool { return s.Name == w })
		if i >= 0 {
			c, subs = subs[i], subs[i].Subcommands
		}
	}
	return c, subs
}

// flagsOf are the long forms of a command's flags; nil is the program itself.
func flagsOf(c *cli.Command) []string {
	list := []string{"--help"}
	if c == nil {
		return append(list, "--version")
	}
	for _, f := range c.Flags {
		list = append(list, "--"+f.Names()[0])
	}
	return list
}

// valueFlag is the name of the flag whose value comes next; "" for none.
func valueFlag(c *cli.Command, words []string) string {
	if c == nil || len(words) == 0 || !strings.HasPrefix(words[len(words)-1], "-") {
		return ""
	}
	last := strings.TrimLeft(words[len(words)-1], "-")
	for _, f := range c.Flags {
		if d, ok := f.(cli.DocGenerationFlag); ok && d.TakesValue() && slices.Contains(f.Names(), last) {
			return f.Names()[0]
		}
	}
	return ""
}

// values are those of flags that take one of a list, the same in every command.
var values = map[string]func() []string{
	"criterion": coupled.Criteria, "allocation": coupled.Allocations, "layout": coupled.Layouts, "format": export.Formats, "for": export.Targets, "cpu": cpuPaths,
	"of": oneOf("all", "prunable"), "dtype": oneOf("f32", "f16", "bf16", "q8_0"), "moments": oneOf("f32", "bf16"), "wire": oneOf("f32", "bf16"),
	"basis": oneOf("none", "svd", "data-svd"), "compensate": oneOf("none", "bias", "lsq"), "qk-order": oneOf("score", "interactions", "attention"),
	"recompute": oneOf("none", "light", "attention", "layer"), "memory-of": oneOf("inference", "training"), "kinds": oneOf("qk", "vo", "ffn", "head"),
}

func oneOf(list ...string) func() []string { return func() []string { return list } }

// extensions are those of the files that a flag takes besides directories; flags that
// are not here take none.
var extensions = map[string]func() []string{
	"config": oneOf(".yaml", ".yml"), "data": data.Extensions, "other-data": data.Extensions, "images": oneOf(".csv", ".gz"), "images-test": oneOf(".csv", ".gz"),
	"model": oneOf(".gguf"), "from": oneOf(".gguf"), "plan": oneOf(".json"), "choices": oneOf(".jsonl"), "plot": func() []string { return report.Formats },
	"graph": oneOf(".svg", ".dot"), "tls-cert": oneOf(".pem", ".crt"), "tls-key": oneOf(".pem", ".key"), "scores": nil, "save-scores": nil, "logits": oneOf(".json"),
	"out": oneOf(".html", ".gguf", ".onnx"), "png": oneOf(),
}

// valuesOf are the values of a command's flag.
func valuesOf(c *cli.Command, flag, cur string) []string {
	if flag == "model" && (c.Name == "step" || c.Name == "infer") {
		return model.Names()
	}
	if list := values[flag]; list != nil {
		return list()
	}
	of, ok := extensions[flag]
	switch {
	case !ok:
		return nil
	case of == nil:
		return files(cur, nil)
	}
	return files(cur, append(of(), "/"))
}

// files are the directories, with a "/", and the files with one of the extensions (nil
// is all) that begin with cur.
func files(cur string, extensions []string) (list []string) {
	dir, name := filepath.Split(cur)
	entries, err := os.ReadDir(filepath.Join(".", dir))
	if filepath.IsAbs(cur) {
		entries, err = os.ReadDir(dir)
	}
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), name) || strings.HasPrefix(e.Name(), ".") && name == "" {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, e.Name())) // through links
		switch {
		case err != nil:
		case info.IsDir():
			list = append(list, dir+e.Name()+"/")
		case extensions == nil || slices.ContainsFunc(extensions, func(x string) bool { return strings.HasSuffix(e.Name(), x) }):
			list = append(list, dir+e.Name())
		}
	}
	return list
}

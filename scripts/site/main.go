// Command site makes one static site of the documentation: README.md and docs/, as HTML
// that needs no network, with a search over all pages.
//
//	go -C scripts/site run . ROOT OUT
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed page.html
var pageHTML string

//go:embed site.css
var css []byte

//go:embed search.js
var searchJS []byte

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: site ROOT OUT")
		os.Exit(2)
	}
	if err := build(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}

// sections are the parts of the navigation; pages that none names follow under "More".
var sections = []struct {
	Title string
	Names []string
}{
	{"Begin", []string{"README", "docs/tutorial", "docs/tutorial-chat", "docs/recipes/smollm2", "docs/recipes/qwen3", "docs/recipes/gemma3", "docs/recipes/minilm", "docs/chats"}},
	{"Use", []string{"docs/serve", "docs/operations", "docs/scaling", "docs/troubleshooting"}},
	{"Look up", []string{"docs/cli", "docs/run-file", "docs/families", "docs/interop", "docs/glossary"}},
	{"Understand", []string{"docs/method", "docs/architecture", "docs/decisions", "docs/comparison", "CONTRIBUTING"}},
}

// link is a page in the navigation.
type link struct {
	Title, To string
	Here      bool
}

type part struct {
	Title string
	Links []link
}

// build writes the site of the tree at root into out, which is made anew.
func build(root, out string) error {
	pages, err := read(root)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	layout, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return err
	}
	for _, p := range pages {
		var b bytes.Buffer
		err := layout.Execute(&b, map[string]any{
			"Title": p.title, "Up": strings.Repeat("../", strings.Count(p.name, "/")), "Parts": navigation(pages, p), "Body": template.HTML(p.html), "Heads": p.heads,
		})
		if err == nil {
			err = write(filepath.Join(out, filepath.FromSlash(p.to())), b.Bytes())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	index, err := json.Marshal(entries(pages))
	if err != nil {
		return err
	}
	return errors.Join(
		write(filepath.Join(out, "site.css"), css),
		write(filepath.Join(out, "search.js"), append(append([]byte("const pages = "), index...), append([]byte(";\n"), searchJS...)...)),
		pictures(root, out),
	)
}

// navigation is all pages by section, seen from one of them.
func navigation(pages []*page, from *page) []part {
	up := strings.Repeat("../", strings.Count(from.name, "/"))
	of := func(p *page) link { return link{p.title, up + p.to(), p == from} }
	var parts []part
	placed := map[*page]bool{}
	for _, s := range sections {
		var links []link
		for _, name := range s.Names {
			if i := slices.IndexFunc(pages, func(p *page) bool { return p.name == name }); i >= 0 {
				links, placed[pages[i]] = append(links, of(pages[i])), true
			}
		}
		parts = append(parts, part{s.Title, links})
	}
	var results, more []link
	for _, p := range pages {
		switch {
		case placed[p]:
		case strings.HasPrefix(p.name, "docs/results/"):
			results = append(results, of(p))
		default:
			more = append(more, of(p))
		}
	}
	parts = append(parts, part{"Results", results})
	if len(more) > 0 {
		parts = append(parts, part{"More", more})
	}
	return parts
}

// pictures copies what pages show.
func pictures(root, out string) error {
	return filepath.WalkDir(filepath.Join(root, "docs"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch path.Ext(name) {
		case ".png", ".svg", ".jpg":
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			return write(filepath.Join(out, rel), b)
		}
		return nil
	})
}

func write(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o644)
}

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
)

// page is one Markdown file of the tree.
type page struct {
	name  string // path without .md, with slashes
	title string
	html  string
	heads []head // of the second level, for the page's own list
	words []head // every heading with the text under it, for the search
}

type head struct{ ID, Title, Text string }

// to is the file of the site.
func (p *page) to() string {
	if p.name == "README" {
		return "index.html"
	}
	return p.name + ".html"
}

// entry is what the search knows of a part of a page.
type entry struct {
	Page  string `json:"page"`
	To    string `json:"to"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

func entries(pages []*page) (list []entry) {
	for _, p := range pages {
		for _, h := range p.words {
			to := p.to()
			if h.ID != "" {
				to += "#" + h.ID
			}
			list = append(list, entry{p.title, to, h.Title, h.Text})
		}
	}
	return list
}

// markdown takes raw HTML as it is: the pages are this repository's own.
var markdown = goldmark.New(
	goldmark.WithExtensions(extension.GFM),
	goldmark.WithParserOptions(parser.WithAutoHeadingID()),
	goldmark.WithRendererOptions(html.WithUnsafe()),
)

// read parses README.md, CONTRIBUTING.md and all of docs/.
func read(root string) ([]*page, error) {
	names := []string{"README.md", "CONTRIBUTING.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path.Ext(name) == ".md" {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var pages []*page
	for _, name := range names {
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		p, err := parse(strings.TrimSuffix(name, ".md"), source, names)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		pages = append(pages, p)
	}
	return pages, nil
}

// A comment before a block of commands says whether a test runs it.
var marked = regexp.MustCompile("(?m)^<!-- (tested|not tested): (.*?) -->\n(```)")

// parse makes a page. A link to another page of the site leads to its HTML; a link to a
// file that is not a page keeps its path as text.
func parse(name string, source []byte, names []string) (*page, error) {
	source = marked.ReplaceAll(source, []byte("<p class=\"mark\">$1: $2</p>\n\n$3"))
	p := &page{name: name, title: path.Base(name)}
	doc := markdown.Parser().Parse(text.NewReader(source))
	at := head{}
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			title := string(n.Lines().Value(source))
			id, _ := n.AttributeString("id")
			b, _ := id.([]byte)
			if n.Level == 1 {
				p.title = title
				at = head{Title: title}
				return ast.WalkSkipChildren, nil
			}
			p.words = append(p.words, at)
			at = head{ID: string(b), Title: title}
			if n.Level == 2 {
				p.heads = append(p.heads, at)
			}
		case *ast.Link:
			n.Destination = []byte(target(name, string(n.Destination), names))
		case *ast.Text:
			at.Text += string(n.Value(source)) + " "
		case *ast.FencedCodeBlock:
			at.Text += string(n.Lines().Value(source)) + " "
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return nil, err
	}
	p.words = append(p.words, at)
	var b bytes.Buffer
	if err := markdown.Renderer().Render(&b, source, doc); err != nil {
		return nil, err
	}
	p.html = b.String()
	return p, nil
}

// target is where a link of a page leads in the site.
func target(from, to string, names []string) string {
	file, anchor, has := strings.Cut(to, "#")
	if file == "" || strings.Contains(file, ":") {
		return to
	}
	full := path.Join(path.Dir(from), file)
	if slices.Contains(names, full) {
		here := page{name: from}
		there := page{name: strings.TrimSuffix(full, ".md")}
		to = strings.Repeat("../", strings.Count(here.to(), "/")) + there.to()
		if has {
			to += "#" + anchor
		}
		return to
	}
	switch path.Ext(full) {
	case ".png", ".svg", ".jpg":
		return to
	}
	return "https://github.com/ecospa/ecospa/blob/main/" + full
}

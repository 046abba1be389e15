package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadPaperRefuses(t *testing.T) {
	const ok = "quick: {seeds: [1]}\nrows:\n  - {name: a, title: A, config: x.yaml, variants: [{name: dense}]}\n"
	const b = ok + "  - {name: b, title: B, "
	for want, text := range map[string]string{
		"rows, seeds and quick.seeds": "rows: []\n",
		"rows[1].name":                ok + "  - {name: a, title: B, compare: x.yaml}\n",
		"rows[1].title":               ok + "  - {name: b, compare: x.yaml}\n",
		"expected one of them":        ok + "  - {name: b, title: B}\n",
		"apply to a comparison":       b + "config: x.yaml, variants: [{name: c}], show: [d]}\n",
		"rows[1].variants is empty":   b + "config: x.yaml}\n",
		"variants[0].name":            b + "config: x.yaml, variants: [{name: ../x}]}\n",
		"variants[0].from":            b + "config: x.yaml, variants: [{name: c, from: a/whole}]}\n",
		"go together":                 b + "config: x.yaml, variants: [{name: c}], budgets: [0.5x]}\n",
		"default at half":             b + "config: x.yaml, from: a/dense, methods: [{name: default}], budgets: [half]}\n",
		"rows[1].data":                b + "config: x.yaml, data: sounds, variants: [{name: c}]}\n",
		"bench.mode":                  b + "bench: {mode: run, model: llama-60m, prune: 0.5}}\n",
		"prune 0,":                    b + "bench: {mode: step, model: llama-60m}}\n",
		"quick do not apply":          b + "bench: {mode: step, model: llama-60m, prune: 0.5}, quick: [a=b]}\n",
		"claims[0]":                   b + "compare: x.yaml, claims: [{paper: less, figure: loss, of: x}]}\n",
		"unknown key":                 ok + "rowz: 1\n",
	} {
		f := filepath.Join(t.TempDir(), "paper.yaml")
		if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadPaper(f); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, expected %q", text, err, want)
		}
	}
}

// TestPaperMethods holds that methods and budgets are variants that begin with a cut.
func TestPaperMethods(t *testing.T) {
	f := filepath.Join(t.TempDir(), "paper.yaml")
	text := "quick: {seeds: [1]}\nrows:\n  - {name: a, title: A, config: x.yaml, variants: [{name: dense}]}\n" +
		"  - {name: b, title: B, config: y.yaml, from: a/dense, methods: [{name: default}, {name: \"noise, even\", criterion: random}], budgets: [0.7x, 0.5x], variants: [{name: whole, from: a/dense}]}\n"
	if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := LoadPaper(f)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range p.Row("b").Variants {
		names = append(names, v.Name)
		if v.Config != "y.yaml" || v.From != "a/dense" {
			t.Errorf("%+v", v)
		}
	}
	if got := strings.Join(names, " "); got != "whole default-0.7x default-0.5x noise-even-0.7x noise-even-0.5x" {
		t.Errorf("variants %s", got)
	}
	if _, v := p.Variant("b/noise-even-0.5x"); v == nil || v.Method.Criterion != "random" || v.Method.Basis == "" || v.Budget != "0.5x" {
		t.Errorf("%+v", v)
	}
}

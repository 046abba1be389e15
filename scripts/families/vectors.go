package main

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// vectors is `ecospa embed` of the sentence encoder of testdata against llama.cpp with the
// GGUF file of it: the largest 1 - cosine over its texts.
func (w *work) vectors(r row, arch string) (embed, whole, narrow string, err error) {
	source, err := filepath.Abs(r.Vectors)
	if err != nil {
		return "", "", "", err
	}
	program, err := os.ReadFile("scripts/families/embed.mjs")
	if err == nil {
		err = os.WriteFile(w.at("embed.mjs"), program, 0o644)
	}
	if err != nil {
		return "", "", "", err
	}
	texts := filepath.Join(source, "texts.jsonl")
	distance := func(model string) (float64, error) {
		for _, args := range [][]string{
			{"export", "--force", "--model", model, "--format", "gguf", "--dtype", "f32", "--out", "m.gguf"},
			{"embed", "--force", "--model", model, "--data", texts, "--out", "ours.jsonl"},
		} {
			if _, err := w.run(w.ecospa, args...); err != nil {
				return 0, err
			}
		}
		out, err := w.run("node", "embed.mjs", "m.gguf", texts)
		if err != nil {
			return 0, err
		}
		ours, err := os.ReadFile(w.at("ours.jsonl"))
		if err != nil {
			return 0, err
		}
		theirs := lines(out)
		worst := 0.0
		for i, line := range lines(string(ours)) {
			var a, b []float64
			if err := json.Unmarshal([]byte(line), &a); err != nil {
				return 0, err
			}
			if err := json.Unmarshal([]byte(theirs[i]), &b); err != nil {
				return 0, err
			}
			if len(b) == 0 { // longer than llama.cpp's context; ours is cut
				continue
			}
			var ab, aa, bb float64
			for k := range a {
				ab, aa, bb = ab+a[k]*b[k], aa+a[k]*a[k], bb+b[k]*b[k]
			}
			worst = math.Max(worst, 1-ab/math.Sqrt(aa*bb))
		}
		return worst, nil
	}
	d, err := distance(source)
	if err != nil {
		return "", "", "", err
	}
	kinds, err := w.narrow(func(kinds string) []string {
		return []string{"prune", "--from", source, "--data", "records.jsonl", "--target", "0.8x", "--of", "prunable", "--kinds", kinds, "--for", "gguf-" + arch, "--recover", "none", "--force", "--out", r.Name + "-gguf"}
	})
	if err != nil {
		return "", "", "", err
	}
	n, err := distance(r.Name + "-gguf")
	cell := "1 - cosine " + small(d)
	return cell, cell, kinds + " 1 - cosine " + small(n), err
}

func lines(s string) (out []string) {
	for b := bufio.NewScanner(strings.NewReader(s)); b.Scan(); {
		if b.Text() != "" {
			out = append(out, b.Text())
		}
	}
	return out
}

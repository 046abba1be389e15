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
	d, err := w.distance(source, texts)
	if err != nil {
		return "", "", "", err
	}
	kinds, err := w.narrow(func(kinds string) []string {
		return []string{"prune", "--from", source, "--data", "records.jsonl", "--target", "0.8x", "--of", "prunable", "--kinds", kinds, "--for", "gguf-" + arch, "--recover", "none", "--force", "--out", r.Name + "-gguf"}
	})
	if err != nil {
		return "", "", "", err
	}
	n, err := w.distance(r.Name+"-gguf", texts)
	cell := "1 - cosine " + small(d)
	return cell, cell, kinds + " 1 - cosine " + small(n), err
}

// distance is the largest 1 - cosine between a model's vectors of texts here and in llama.cpp.
func (w *work) distance(model, texts string) (float64, error) {
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
		if len(b) > 0 { // else it is longer than llama.cpp's context; ours is cut
			worst = math.Max(worst, 1-cosine(a, b))
		}
	}
	return worst, nil
}

func cosine(a, b []float64) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab, aa, bb = ab+a[i]*b[i], aa+a[i]*a[i], bb+b[i]*b[i]
	}
	return ab / math.Sqrt(aa*bb)
}

func lines(s string) (out []string) {
	for b := bufio.NewScanner(strings.NewReader(s)); b.Scan(); {
		if b.Text() != "" {
			out = append(out, b.Text())
		}
	}
	return out
}

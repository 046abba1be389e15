package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ecospa/ecospa/pkg/model"
)

var columns = []string{"family", "eval: PyTorch", "train: PyTorch", "prune: onnxruntime", "finetune: onnxruntime", "generate: llama.cpp", "hf", "gguf: llama.cpp", "gguf, pruned", "onnx: onnxruntime"}

type work struct {
	ecospa, dir, golden string
	encoder             bool // of the row at hand: half of a text has other hidden states than in the whole
}

func (w *work) at(name string) string { return filepath.Join(w.dir, name) }

// run runs a command in the work directory, and returns what it prints and why it failed.
func (w *work) run(name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	var out, log bytes.Buffer
	c.Dir, c.Stdout, c.Stderr = w.dir, &out, &log
	if err := c.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %s (%w)", filepath.Base(name), strings.Join(args, " "), lastLine(log.String()+"\n"+out.String()), err)
	}
	return out.String(), nil
}

// onnx exports a model and is how far onnxruntime's logits are from ours, relative to the
// largest.
func (w *work) onnx(dir string) (float64, error) {
	if _, err := w.run(w.ecospa, "export", "--force", "--model", dir, "--format", "onnx", "--out", "m.onnx", "--logits", "m.json"); err != nil {
		return 0, err
	}
	out, failed := w.run("node", "onnx.mjs", "m.onnx", "m.json", "1e-3")
	var r struct {
		Relative float64 `json:"relative"`
		Batch    float64 `json:"relative_batch"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return 0, errors.Join(failed, err)
	}
	if w.encoder {
		return r.Relative, nil
	}
	return math.Max(r.Relative, r.Batch), failed
}

// inLlama is a GGUF file in llama.cpp against eval.
type inLlama struct {
	Tokens    int     `json:"tokens"`
	Ours      int     `json:"ecospa_tokens"`
	Loss      float64 `json:"perplexity"`
	OurLoss   float64 `json:"ecospa_perplexity"`
	Continues bool    `json:"same_continuation"`
}

func (r inLlama) difference() float64 { return math.Abs(math.Log(r.Loss) - math.Log(r.OurLoss)) }

// gguf exports a model and runs it in llama.cpp; refused is why there is no file.
func (w *work) gguf(dir string) (r inLlama, refused string, err error) {
	if _, err := w.run(w.ecospa, "export", "--force", "--model", dir, "--format", "gguf", "--out", "m.gguf"); err != nil {
		return r, err.Error(), nil
	}
	out, failed := w.run("node", "gguf.mjs", w.ecospa, dir, "m.gguf", "short.txt", "0.01")
	if err := json.Unmarshal([]byte(lastLine(out)), &r); err != nil {
		return r, "", errors.Join(failed, err)
	}
	if r.Tokens != r.Ours {
		return r, "", fmt.Errorf("llama.cpp reads %d tokens, eval %d", r.Tokens, r.Ours)
	}
	return r, "", nil
}

// flags are the calibration of prune for a family.
func flags(m model.Model) []string {
	data := "text.txt"
	if m.Arch().Image != nil {
		data = "images.csv"
	} else if _, ok := m.(model.Encoder); ok {
		data = "records.jsonl"
	}
	out := []string{"--data", data, "--sequences", "8", "--eval-tokens", "256", "--recover", "none", "--allocation", "global", "--force"}
	if data == "text.txt" {
		out = append(out, "--context", "64")
	}
	return out
}

func small(x float64) string { return fmt.Sprintf("%.1e", x) }

// row makes the cells of a family.
func (w *work) row(r row) ([]string, error) {
	logits, steps, err := pytorch(filepath.Join(w.golden, r.Golden))
	if err != nil {
		return nil, err
	}
	m, err := w.make(r)
	if err != nil {
		return nil, err
	}
	_, w.encoder = m.(model.Encoder)
	prune, err := w.kinds(r, m)
	if err != nil {
		return nil, err
	}
	tune, err := w.finetune(r, m)
	if err != nil {
		return nil, err
	}
	generate, gguf, narrow, err := w.llama(r, m)
	if err != nil {
		return nil, err
	}
	hf, err := w.hf(r)
	if err != nil {
		return nil, err
	}
	onnx, err := w.onnx(r.Name)
	if err != nil {
		return nil, err
	}
	return []string{r.Name, small(logits), small(steps), prune, tune, generate, hf, gguf, narrow, small(onnx)}, nil
}

// kinds prunes a third of each kind's units, and computes each result in onnxruntime.
func (w *work) kinds(r row, m model.Model) (string, error) {
	var done, refused []string
	worst := 0.0
	for _, kind := range []string{"qk", "vo", "ffn", "head", "layer"} {
		args := append([]string{"prune", "--from", r.Name, "--ratio", kind + "=0.4", "--out", r.Name + "-" + kind}, flags(m)...)
		if _, err := w.run(w.ecospa, args...); err != nil {
			refused = append(refused, kind)
			fmt.Fprintln(os.Stderr, "  refused:", err)
			continue
		}
		d, err := w.onnx(r.Name + "-" + kind)
		if err != nil {
			return "", err
		}
		done, worst = append(done, kind), math.Max(worst, d)
	}
	cell := strings.Join(done, " ") + " " + small(worst)
	if len(refused) > 0 {
		cell += "; refused: " + strings.Join(refused, " ")
	}
	return cell, nil
}

// finetune trains three steps, and computes the result in onnxruntime.
func (w *work) finetune(r row, m model.Model) (string, error) {
	args := append([]string{"finetune", "--force", "--from", r.Name, "--out", r.Name + "-tuned"}, flags(m)[:2]...)
	for _, s := range []string{"train.steps=3", "train.batch=2", "train.eval_tokens=256", "train.sample=0"} {
		args = append(args, "--set", s)
	}
	if m.Arch().Image == nil {
		args = append(args, "--set", "train.context=64")
	}
	if _, err := w.run(w.ecospa, args...); err != nil {
		return "", err
	}
	d, err := w.onnx(r.Name + "-tuned")
	return small(d), err
}

// llama is what llama.cpp makes of the whole model and of one that was pruned for it.
func (w *work) llama(r row, m model.Model) (generate, whole, narrow string, err error) {
	g := m.Table().GGUF
	if g == nil {
		return "-", "-", "-", nil
	}
	if r.Vectors != "" {
		return w.vectors(r, g.Arch)
	}
	of, refused, err := w.gguf(r.Name)
	if err != nil || refused != "" {
		fmt.Fprintln(os.Stderr, "  refused:", refused)
		return "-", "refused", "-", err
	}
	generate, whole = "64 tokens, the same", small(of.difference())
	if !of.Continues {
		generate = "64 tokens, not the same"
	}
	args := func(kinds string) []string {
		return append([]string{"prune", "--from", r.Name, "--target", "0.8x", "--of", "prunable", "--kinds", kinds, "--for", "gguf-" + g.Arch, "--out", r.Name + "-gguf"}, flags(m)...)
	}
	kinds, err := w.narrow(args)
	if err != nil {
		return "", "", "", err
	}
	of, refused, err = w.gguf(r.Name + "-gguf")
	if err == nil && refused != "" {
		err = errors.New(refused)
	}
	return generate, whole, kinds + " " + small(of.difference()), err
}

// narrow prunes channels and layers for llama.cpp, or only channels where it does not take
// layers, and says which.
func (w *work) narrow(args func(kinds string) []string) (string, error) {
	_, err := w.run(w.ecospa, args("ffn,layer")...)
	if err == nil {
		return "ffn layer", nil
	}
	fmt.Fprintln(os.Stderr, "  refused:", err)
	_, err = w.run(w.ecospa, args("ffn")...)
	return "ffn", err
}

// hf writes a directory for transformers and reads it back; the PyTorch program of
// scripts/interop computes those that it knows.
func (w *work) hf(r row) (string, error) {
	out, err := w.run(w.ecospa, "export", "--force", "--json", "--model", r.Name, "--format", "hf", "--out", r.Name+"-hf")
	if err != nil {
		return "", err
	}
	var report struct{ Difference struct{ Relative float64 } }
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		return "", err
	}
	return "read back " + small(report.Difference.Relative), nil
}

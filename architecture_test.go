package main

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// rooms says in a few words what each package is for, as docs/architecture.svg shows it.
var rooms = pairs([][2]string{
	{".", "main"},
	{"configs", "example run files"},
	{"cmd", "flags, words, exit codes"},
	{"internal/bench", "steps and tokens timed"},
	{"internal/dist", "what ranks ask"},
	{"internal/dist/disttest", "ranks in tests"},
	{"internal/fault", "whose error"},
	{"internal/folder", "links stay inside"},
	{"internal/ggufmodel", "models of GGUF"},
	{"internal/gguf", "llama.cpp's files"},
	{"internal/jinja", "templates, bounded"},
	{"internal/mapped", "files larger than memory"},
	{"internal/mpi", "MPI at run time"},
	{"internal/onnx", "ONNX files"},
	{"internal/onnxtest", "runs ONNX in tests"},
	{"internal/report", "runs on a page"},
	{"internal/shell", "completion, short forms"},
	{"internal/priority", "nice"},
	{"internal/progress", "bars and lines"},
	{"internal/sysmem", "free memory"},
	{"internal/tfevents", "files of TensorBoard"},
	{"internal/units", "numbers in words"},
	{"pkg/bundle", "a model as it lies on disk"},
	{"pkg/chat", "messages to text"},
	{"pkg/checkpoint", "models on disk"},
	{"pkg/config", "run files"},
	{"pkg/coupled", "the estimator"},
	{"pkg/data", "corpora, batches"},
	{"pkg/export", "shapes of others"},
	{"pkg/graph", "Gorgonia, plans, steps"},
	{"pkg/infer", "a scheduler, samplers"},
	{"pkg/kernel", "operations, assembly"},
	{"pkg/kernel/blas", "Gorgonia's products"},
	{"pkg/model", "gpt2, llama, vit"},
	{"pkg/optim", "AdamW"},
	{"pkg/param", "named dimensions"},
	{"pkg/prune", "one shot, rounds"},
	{"pkg/run", "a run's directory"},
	{"pkg/lab", "experiments and tables"},
	{"pkg/recovery", "from parent to child"},
	{"pkg/serve", "OpenAI's protocol"},
	{"pkg/tokenizer", "BPE, unigram, WordPiece"},
	{"pkg/train", "loop and hooks"},
	{"pkg/workload", "text and images alike"},
})

// TestArchitecture holds docs/architecture.svg, which is drawn from the table in
// layers_test.go: every package stands above those that it imports. Of imports that
// others imply (a imports b and c, b imports c) only the steps are drawn.
// ECOSPA_UPDATE=1 go test . -run TestArchitecture draws it anew.
func TestArchitecture(t *testing.T) {
	for p := range layers {
		if rooms[p] == "" {
			t.Errorf("say in rooms what %s is for", p)
		}
	}
	want := drawLayers()
	d := xml.NewDecoder(bytes.NewReader(want))
	var err error
	for err == nil {
		_, err = d.Token()
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	const path = "docs/architecture.svg"
	if os.Getenv("ECOSPA_UPDATE") != "" {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("docs/architecture.svg is not what layers_test.go says; draw it anew: ECOSPA_UPDATE=1 go test . -run TestArchitecture")
	}
}

// floors are the packages by the longest way down from them.
func floors() [][]string {
	height := map[string]int{}
	var of func(string) int
	of = func(p string) int {
		if h, ok := height[p]; ok {
			return h
		}
		h := 0
		for _, d := range strings.Fields(layers[p]) {
			h = max(h, of(d)+1)
		}
		height[p] = h
		return h
	}
	var out [][]string
	for p := range layers {
		for h := of(p); len(out) <= h; {
			out = append(out, nil)
		}
		out[of(p)] = append(out[of(p)], p)
	}
	for _, f := range out {
		slices.Sort(f)
	}
	return out
}

// steps are the imports of p that none of its other imports imply.
func steps(p string) (out []string) {
	below := map[string]bool{}
	var walk func(string)
	walk = func(p string) {
		for _, d := range strings.Fields(layers[p]) {
			if !below[d] {
				below[d] = true
				walk(d)
			}
		}
	}
	direct := strings.Fields(layers[p])
	for _, d := range direct {
		walk(d)
	}
	for _, d := range direct {
		if !below[d] {
			out = append(out, d)
		}
	}
	return out
}

// arrange orders each floor by where the packages stand that it imports, and those
// that import it, so that lines are short; it gives the middle of each, 0 to 1.
func arrange(fl [][]string) map[string]float64 {
	at := map[string]float64{}
	place := func(f []string) {
		for i, p := range f {
			at[p] = (float64(i) + 0.5) / float64(len(f))
		}
	}
	near, users := map[string][]string{}, map[string][]string{}
	for p := range layers {
		near[p] = steps(p)
	}
	for _, f := range fl {
		place(f)
		for _, p := range f {
			for _, d := range near[p] {
				users[d] = append(users[d], p)
			}
		}
	}
	sorted := func(f []string, by map[string][]string) {
		mean := map[string]float64{}
		for _, p := range f {
			mean[p] = at[p]
			for i, d := range by[p] {
				if i == 0 {
					mean[p] = 0
				}
				mean[p] += at[d] / float64(len(by[p]))
			}
		}
		slices.SortStableFunc(f, func(a, b string) int { return cmp.Compare(mean[a], mean[b]) })
		place(f)
	}
	for range 8 {
		for _, f := range fl[1:] {
			sorted(f, near)
		}
		for _, f := range slices.Backward(fl) {
			sorted(f, users)
		}
	}
	return at
}

// drawLayers draws the floors, the ground at the bottom, with a line for every step.
func drawLayers() []byte {
	const box, tall = 148, 46
	fl := floors()
	widest := 0
	for _, f := range fl {
		widest = max(widest, len(f))
	}
	width := widest*(box+14) + 48
	middle := arrange(fl)
	type spot struct{ x, y int }
	at := map[string]spot{}
	for h, names := range fl {
		for _, p := range names {
			at[p] = spot{24 + int(middle[p]*float64(width-48)) - box/2, 24 + (len(fl)-1-h)*(tall+44)}
		}
	}
	high := 24 + len(fl)*(tall+44) - 20
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif">`+"\n<title>The packages of ecospa: imports point down</title>\n", width, high)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="12" fill="#fffefb"/>`+"\n", width, high)
	for _, names := range slices.Backward(fl) {
		for _, p := range names {
			for _, d := range steps(p) {
				from, to := at[p], at[d]
				x0, y0, x1, y1 := from.x+box/2, from.y+tall, to.x+box/2, to.y
				bend := (y1 - y0) / 2
				fmt.Fprintf(&b, `<path d="M%d %dC%d %d %d %d %d %d" fill="none" stroke="#b9b4a9" stroke-width="1.2"/>`+"\n", x0, y0, x0, y0+bend, x1, y1-bend, x1, y1)
			}
		}
	}
	for _, names := range slices.Backward(fl) {
		for _, p := range names {
			fill, name := "#eef3f7", strings.TrimPrefix(strings.TrimPrefix(p, "pkg/"), "internal/")
			switch p {
			case ".":
				name = "ecospa"
			case "pkg/coupled", "pkg/prune":
				fill = "#fdeadb"
			}
			c := at[p]
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" rx="7" fill="%s" stroke="#8c98a3"/>`, c.x, c.y, box, tall, fill)
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle" font-size="14" font-weight="600" fill="#1d1c1a">%s</text>`, c.x+box/2, c.y+19, name)
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle" font-size="11.5" fill="#6a6762">%s</text>`+"\n", c.x+box/2, c.y+36, rooms[p])
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// room is how docs/architecture.svg shows a package: where from left to right,
// and in a few words what it is for.
type room struct {
	column float64
	words  string
}

var rooms = map[string]room{
	"internal/fault": {7.4, "whose error"}, "internal/units": {8.3, "numbers in words"}, "internal/sysmem": {7.4, "free memory"}, "internal/onnxtest": {0.4, "runs ONNX in tests"},
	".": {3, "main"}, "cmd": {3, "flags, words, exit codes"},
	"internal/report": {1.7, "runs on a page"}, "pkg/config": {3.6, "run files"}, "pkg/train": {4.4, "loop and hooks"},
	"pkg/export": {0.9, "shapes of others"}, "pkg/infer": {2.2, "sessions, sampling"}, "pkg/prune": {3.5, "one shot, rounds"},
	"pkg/model": {2.6, "gpt2, llama, vit"}, "internal/gguf": {0.4, "llama.cpp's files"}, "internal/onnx": {1.5, "ONNX files"}, "pkg/graph": {2.9, "Gorgonia, plans, steps"},
	"pkg/checkpoint": {1, "models on disk"}, "pkg/kernel/blas": {2.1, "Gorgonia's products"}, "pkg/coupled": {3.2, "the estimator"}, "pkg/optim": {4.3, "AdamW"},
	"pkg/workload": {5.4, "text and images alike"}, "pkg/bundle": {4.9, "a model as it lies on disk"}, "internal/folder": {6.2, "links stay inside"},
	"pkg/data": {5.4, "corpora, batches"}, "internal/mpi": {6.5, "MPI at run time"},
	"pkg/parquet": {4.35, "a column of text"}, "pkg/param": {1.9, "named dimensions"}, "pkg/kernel": {3.3, "operations, assembly"}, "pkg/tokenizer": {5.4, "BPE, bytes"}, "internal/dist": {6.5, "what ranks ask"},
}

// TestArchitecture holds docs/architecture.svg, which is drawn from the table in
// layers_test.go: every package stands above those that it may import.
// ECOSPA_UPDATE=1 go test . -run TestArchitecture draws it anew.
func TestArchitecture(t *testing.T) {
	for p := range layers {
		if rooms[p].words == "" {
			t.Errorf("say in rooms where %s stands and what it is for", p)
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

// drawLayers draws the floors, the ground at the bottom, with a line for every
// import that the table names.
func drawLayers() []byte {
	const width, box, tall = 1540, 148, 46
	fl := floors()
	type place struct{ x, y int }
	at := map[string]place{}
	for h, names := range fl {
		for _, p := range names {
			at[p] = place{24 + int(rooms[p].column*162), 24 + (len(fl)-1-h)*(tall+44)}
		}
	}
	high := 24 + len(fl)*(tall+44) - 20
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif">`+"\n<title>The packages of ecospa: imports point down</title>\n", width, high)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="12" fill="#fffefb"/>`+"\n", width, high)
	for _, names := range slices.Backward(fl) {
		for _, p := range names {
			for _, d := range strings.Fields(layers[p]) {
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
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle" font-size="11.5" fill="#6a6762">%s</text>`+"\n", c.x+box/2, c.y+36, rooms[p].words)
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

package cmd

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// TestModelRecipes runs every command of the pages of docs/recipes, on a small random model with
// the keys of the published config.json in the place of the download.
func TestModelRecipes(t *testing.T) {
	pages, err := filepath.Glob("../docs/recipes/*.md")
	if err != nil || len(pages) < 6 {
		t.Fatalf("found %v (%v)", pages, err)
	}
	for _, page := range pages {
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		t.Run(name, func(t *testing.T) {
			lines, config := shellLines(t, page), absolute(t, "../testdata/recipes/"+name+".json")
			sentences := absolute(t, minilm)
			bookAt(t)
			ran := map[string]bool{}
			for _, line := range lines {
				args := words(line)
				if at := slices.Index(args, "-o"); args[0] == "curl" && at > 0 {
					randomModel(t, config, strings.TrimSuffix(args[at+1], "/$file"), sentences)
				}
				if args[0] != "ecospa" {
					continue
				}
				ran[args[1]] = true
				t.Log(line)
				args = append(args, quicker[args[1]]...)
				if args[1] == "finetune" && slices.Contains(args, "photos") {
					args = append(slices.Clone(words(line)), "--set", "train.steps=4", "--set", "train.batch=2")
				}
				if slices.Contains(args, "--recover") {
					args = append(args, "--recover", "1k")
				}
				if slices.Contains(args, "--vocab") {
					args = append(args, "--vocab", "290")
				}
				if out, log := mustRun(t, args...); out+log == "" {
					t.Errorf("%q says nothing", line)
				}
			}
			for _, c := range []string{"inspect", "prune", "export"} {
				if !ran[c] {
					t.Errorf("%s does not show %s", page, c)
				}
			}
			if !ran["generate"] && !ran["embed"] && !(name == "dinov2" && ran["eval"]) {
				t.Errorf("%s does not run the model", page)
			}
		})
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// randomModel writes what a download of a model would: config.json, random weights, a
// tokenizer, and for an encoder what sentence-transformers adds.
func randomModel(t *testing.T, config, dir, sentences string) {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	set.Init(1)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.WriteDir(dir, checkpoint.Model{Config: text}.Files(set, m.Tensors(set), "BF16")); err != nil {
		t.Fatal(err)
	}
	if _, ok := m.(model.Classifier); ok {
		put(t, filepath.Join(dir, "preprocessor_config.json"), `{"crop_size":{"height":28,"width":28},"do_center_crop":true,"do_convert_rgb":true,"do_normalize":true,"do_rescale":true,"do_resize":true,"image_mean":[0.485,0.456,0.406],"image_processor_type":"BitImageProcessor","image_std":[0.229,0.224,0.225],"resample":3,"rescale_factor":0.00392156862745098,"size":{"shortest_edge":32}}`)
		writePhotos(t, "photos")
		return
	}
	if _, ok := m.(model.Encoder); ok {
		if err := os.Mkdir(filepath.Join(dir, "1_Pooling"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{"tokenizer.json", "modules.json", "sentence_bert_config.json", "1_Pooling/config.json"} {
			text, err := os.ReadFile(filepath.Join(sentences, f))
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(dir, f), string(text))
		}
		writeTexts(t, "texts.jsonl")
		return
	}
	book, err := os.ReadFile("book.txt")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Train(book, m.Vocab())
	if err != nil {
		t.Fatal(err)
	}
	file, err := tok.JSON()
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "tokenizer.json"), string(file))
}

// writePhotos writes a folder of pictures for each of three classes, each of another colour.
func writePhotos(t *testing.T, dir string) {
	t.Helper()
	for c, class := range []string{"cats", "dogs", "owls"} {
		at := filepath.Join(dir, class)
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			m := image.NewRGBA(image.Rect(0, 0, 36+i, 40))
			for k := range m.Pix {
				m.Pix[k] = byte(60*c + 7*i + k%50)
			}
			var text bytes.Buffer
			if err := png.Encode(&text, m); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(at, fmt.Sprintf("%d.png", i)), text.String())
		}
	}
}

// writeTexts writes records of the words that testdata/minilm knows.
func writeTexts(t *testing.T, path string) {
	t.Helper()
	var lines strings.Builder
	for _, a := range []string{"the cat", "a dog", "the lazy fox", "quick dogs", "a brown runner", "cats ,"} {
		for _, b := range []string{"sat on the mat .", "jumps over a fox", "runs .", "running on mats , a dog"} {
			lines.WriteString(`{"text": "` + a + " " + b + "\"}\n")
		}
	}
	put(t, path, lines.String())
}

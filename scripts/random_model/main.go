// Command random_model writes a model of a shape with random weights, for measurements of
// memory and time that need no trained model: bfloat16 safetensors, one file a layer, a
// tokenizer and a text of random words that both know.
//
//	go run ./scripts/random_model CONFIG.json DIR
//
// CONFIG.json is a Hugging Face config.json of any family. One layer is in memory at a time.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

const (
	vocabulary = 2048   // ids that the tokenizer has at most
	words      = 400000 // of the text
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("expected CONFIG.json DIR: the shape, and a directory to write")
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func write(config, dir string) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	m, err := model.Parse(text)
	if err != nil {
		return err
	}
	whole, err := param.Layout(m.Specs())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := weights(m, whole, dir); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644); err != nil {
		return err
	}
	return language(dir, min(vocabulary, m.Vocab()))
}

// weights writes a file for each layer and one for what belongs to none, and their index.
func weights(m model.Model, whole *param.Set, dir string) error {
	tensors := m.Tensors(whole)
	where := map[string]string{}
	total := int64(0)
	for layer := param.Outside; layer < whole.Layers(); layer++ {
		var specs []param.Spec
		own := map[string]bool{}
		for _, p := range whole.Params {
			if p.Layer == layer {
				specs, own[p.Name] = append(specs, p.Spec), true
			}
		}
		var of []checkpoint.Tensor
		for _, t := range tensors {
			if own[t.Parts[0].Param] {
				of = append(of, t)
			}
		}
		if len(of) == 0 {
			continue
		}
		name := fmt.Sprintf("model-%05d.safetensors", layer+1)
		n, err := shard(specs, of, filepath.Join(dir, name))
		if err != nil {
			return err
		}
		total += n
		for _, t := range of {
			where[t.Name] = name
		}
	}
	index, err := json.Marshal(map[string]any{"metadata": map[string]int64{"total_size": total}, "weight_map": where})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), index, 0o644)
}

// shard writes tensors that hold the parameters of specs, and returns their bytes. Matrices
// are normal with a deviation of 0.5 / sqrt(columns), norms what the family starts them with.
func shard(specs []param.Spec, tensors []checkpoint.Tensor, path string) (int64, error) {
	for i, s := range specs {
		if s.Init.Std > 0 {
			specs[i].Init.Std = float32(0.5 / math.Sqrt(float64(s.Dims[len(s.Dims)-1].Size)))
		}
	}
	set, err := param.New(specs)
	if err != nil {
		return 0, err
	}
	defer set.Close()
	set.Init(1)
	err = checkpoint.WriteStream(path, func(w io.Writer) error { return checkpoint.WriteWeights(w, set, tensors, "BF16") })
	return 2 * int64(set.Count()), err
}

// language writes a text of random words, and a tokenizer that was trained on it.
func language(dir string, vocab int) error {
	rng := rand.New(rand.NewPCG(1, 1))
	var lexicon [3000]string
	for i := range lexicon {
		word := make([]byte, 2+rng.IntN(7))
		for j := range word {
			word[j] = byte('a' + rng.IntN(26))
		}
		lexicon[i] = string(word)
	}
	var text bytes.Buffer
	for i := range words {
		at := int(float64(len(lexicon)) * math.Pow(rng.Float64(), 3)) // few words are most of it
		text.WriteString(lexicon[at])
		if i%17 == 16 {
			text.WriteString(".\n")
		} else {
			text.WriteByte(' ')
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "text.txt"), text.Bytes(), 0o644); err != nil {
		return err
	}
	t, err := tokenizer.Train(text.Bytes(), vocab)
	if err != nil {
		return err
	}
	file, err := t.JSON()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "tokenizer.json"), file, 0o644)
}

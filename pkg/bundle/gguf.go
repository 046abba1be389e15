package bundle

import (
	"fmt"
	"os"

	"github.com/ecospa/ecospa/internal/gguf"
	"github.com/ecospa/ecospa/internal/ggufmodel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// openFile opens the model in a GGUF file: weights of any type that it may have as
// float32, the tokenizer, the chat template and the ends of text from its keys.
func openFile(path string, o Options) (b *Bundle, err error) {
	b = &Bundle{Path: path}
	var f *gguf.File
	if o.ShapesOnly {
		b.Model, b.Set, f, err = ggufmodel.Shapes(path)
	} else {
		b.Model, b.Set, f, err = ggufmodel.Read(path, func(f *gguf.File) param.DType { return o.kept(mostly(f)) })
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	b.DType = storedType(f)
	if st, serr := os.Stat(path); serr == nil {
		b.Bytes = st.Size()
	}
	if err := b.pool(f); err != nil {
		return nil, err
	}
	if f.Keys["tokenizer.ggml.model"] == nil {
		return b, nil
	}
	if b.Tokenizer, err = tokenizer.FromGGUF(f.Keys); err != nil {
		return nil, fmt.Errorf("%s: its tokenizer: %w", path, err)
	}
	if rows := b.Model.Vocab(); b.Tokenizer.Vocab() > rows {
		return nil, fmt.Errorf("%s: the tokenizer has %d ids, the model %d", path, b.Tokenizer.Vocab(), rows)
	}
	b.ChatTemplate, _ = f.Keys["tokenizer.chat_template"].(string)
	addEOS, ok := f.Keys["tokenizer.ggml.add_eos_token"].(bool)
	var said *bool
	if ok {
		said = &addEOS
	}
	b.setEnds([]ids{ggufmodel.Ends(f)}, said)
	return b, nil
}

// storedType is what a model that comes from the file is saved as: the type of most of
// its elements, or BF16 where that is a quantized one, which safetensors does not have.
func storedType(f *gguf.File) string {
	switch t := mostly(f); t {
	case "F32", "F16", "BF16":
		return t
	}
	return "BF16"
}

// mostly is the type of most of a file's elements.
func mostly(f *gguf.File) string {
	count, best := map[string]int{}, "F32"
	for _, t := range f.Tensors {
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		if count[t.DType] += n; count[t.DType] > count[best] {
			best = t.DType
		}
	}
	return best
}

// pool takes over how an encoder's texts become vectors, as the files of
// sentence-transformers would say it; of length 1, as llama.cpp's programs give them.
func (b *Bundle) pool(f *gguf.File) error {
	if _, ok := b.Model.(model.Encoder); !ok {
		return nil
	}
	arch, _ := f.Keys["general.architecture"].(string)
	kind, ok := f.Keys[arch+".pooling_type"].(uint32)
	way := map[uint32]string{1: "mean_tokens", 2: "cls_token"}[kind]
	switch {
	case !ok || kind == 0: // each token's vector
		return nil
	case way == "":
		return fmt.Errorf("%s: key %s.pooling_type is %d, expected 0 (none), 1 (mean) or 2 (cls)", b.Path, arch, kind)
	}
	b.modules = []byte(`[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
 {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
 {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]
`)
	b.pooling = fmt.Appendf(nil, "{\"word_embedding_dimension\": %d, \"pooling_mode_%s\": true}\n", b.Model.Arch().Hidden, way)
	b.setExtra(modulesFile, b.modules)
	b.setExtra("1_Pooling/config.json", b.pooling)
	b.Model.Arch().Pooling = model.Pooling(map[uint32]string{1: "mean", 2: "cls"}[kind])
	return nil
}

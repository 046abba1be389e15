package bundle

import (
	"fmt"
	"os"

	"github.com/ecospa/ecospa/internal/gguf"
	"github.com/ecospa/ecospa/internal/ggufmodel"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// openFile opens the model in a GGUF file: weights of any type that it may have as
// float32, the tokenizer, the chat template and the ends of text from its keys.
func openFile(path string, o Options) (b *Bundle, err error) {
	b = &Bundle{Path: path}
	read := ggufmodel.Read
	if o.ShapesOnly {
		read = ggufmodel.Shapes
	}
	var f *gguf.File
	if b.Model, b.Set, f, err = read(path); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	b.DType = storedType(f)
	if t := o.Weights; t != "" && t != AsStored && !o.ShapesOnly {
		if err := b.Set.StoreAll(t); err != nil {
			return nil, err
		}
	}
	if st, serr := os.Stat(path); serr == nil {
		b.Bytes = st.Size()
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
	switch best {
	case "F32", "F16", "BF16":
		return best
	}
	return "BF16"
}

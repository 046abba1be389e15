package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// SaveOptions says how Save writes.
type SaveOptions struct {
	DType   string // of the weights: F32, F16 or BF16; default the type of the source
	Replace bool   // a model directory of ecospa that is there makes way
}

// Save writes the model as it is now to a directory, completely or not at all.
func (b *Bundle) Save(dir string, o SaveOptions) error {
	files, err := b.Files(o.DType)
	if err != nil {
		return err
	}
	if o.Replace {
		return checkpoint.ReplaceDir(dir, files)
	}
	return checkpoint.WriteDir(dir, files)
}

// WeightBytes is how large the weights as they are now are on disk.
func (b *Bundle) WeightBytes(dtype string) (int64, error) {
	return checkpoint.WeightsSize(b.Set, b.Model.Tensors(b.Set), b.dtype(dtype))
}

// dtype is a type of weights, by default that of the source.
func (b *Bundle) dtype(asked string) string {
	switch {
	case asked != "":
		return asked
	case b.DType != "":
		return b.DType
	}
	return "F32"
}

// Files is the model as it is now, as the files of a model directory, with weights of
// the type F32, F16 or BF16; "" is the type of the source. What the source held beside
// its weights is carried through.
func (b *Bundle) Files(dtype string) ([]checkpoint.File, error) {
	dtype = b.dtype(dtype)
	config, err := b.Config(dtype)
	if err != nil {
		return nil, err
	}
	tok := b.tokenizer
	if tok == nil && b.Tokenizer != nil {
		if tok, err = b.Tokenizer.JSON(); err != nil {
			return nil, err
		}
	}
	files := checkpoint.Model{Config: config, Tokenizer: tok}.Files(b.Set, b.Model.Tensors(b.Set), dtype)
	for _, e := range b.Extra {
		f := checkpoint.BytesFile(e.Name, e.Data)
		f.Model = true
		files = append(files, f)
	}
	return files, nil
}

// torchTypes are the names that config.json has for types of weights.
var torchTypes = map[string]string{"F32": "float32", "F16": "float16", "BF16": "bfloat16"}

// stale are keys of a config.json that say something about the weights which need not
// be true of the model as it is now.
var stale = map[string]bool{
	"torch_dtype": true, "dtype": true, "num_labels": true, "_num_labels": true, "id2label": true, "label2id": true,
	"pruned_heads": true, "per_layer_config": true, "quantization_config": true, "ecospa": true,
}

// Config is config.json of the model as it is now, with weights of a type: what the
// family writes, and the source's keys that the family knows nothing of.
func (b *Bundle) Config(dtype string) ([]byte, error) {
	text, err := b.Model.Config(b.Set)
	if err != nil {
		return nil, err
	}
	keys, err := object(text)
	if err != nil {
		return nil, err
	}
	if b.config != nil {
		was, err := object(b.config)
		if err != nil {
			return nil, err
		}
		have := map[string]bool{}
		for _, k := range keys {
			have[k.name] = true
		}
		for _, k := range was {
			if !have[k.name] && !stale[k.name] {
				keys = append(keys, k)
			}
		}
	}
	name, err := json.Marshal(torchTypes[dtype])
	if err != nil {
		return nil, err
	}
	// The last key, wherever the source had it: a model saved twice is the same file.
	keys = slices.DeleteFunc(keys, func(m member) bool { return m.name == "torch_dtype" })
	return write(append(keys, member{"torch_dtype", name}))
}

// member is a key of a JSON object with its value.
type member struct {
	name  string
	value json.RawMessage
}

// object is the members of a JSON object, in their order.
func object(text []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("config.json: expected an object")
	}
	var out []member
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("config.json: %w", err)
		}
		m := member{name: t.(string)}
		if err := dec.Decode(&m.value); err != nil {
			return nil, fmt.Errorf("config.json: %w", err)
		}
		out = append(out, m)
	}
	return out, nil
}

// write is the inverse of object, indented.
func write(all []member) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	var out bytes.Buffer
	err := json.Indent(&out, b.Bytes(), "", "  ")
	return out.Bytes(), err
}

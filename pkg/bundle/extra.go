package bundle

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/internal/folder"
	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// Extra is a small file of a model's directory that Save carries through.
type Extra struct {
	Name string
	Data []byte
}

// maxExtra bounds such a file, and maxExtras all of them together, in bytes.
const (
	maxExtra  = 64 << 20
	maxExtras = 256 << 20
)

// written are the files that Save makes itself, and those that say something about the
// source that is not true of what is saved.
var written = []string{
	"config.json", "tokenizer.json", "manifest.json", "adapter_config.json", "trainer.json", "summary.json",
	modulesFile, // it names folders: see readModules
	"model.safetensors.index.json", "pytorch_model.bin.index.json", "trainer_state.json", "training_args.json",
}

// carried reports whether a file belongs to the model and its text side, and not to its
// weights or to a run.
func carried(name string) bool {
	lower := strings.ToLower(name)
	switch {
	case slices.Contains(written, lower) || strings.HasPrefix(name, "."):
		return false
	case path.Ext(lower) == ".json", path.Ext(lower) == ".jinja", path.Ext(lower) == ".model", path.Ext(lower) == ".tiktoken":
		return true
	case lower == "merges.txt", lower == "vocab.txt":
		return true
	}
	for _, legal := range []string{"license", "notice", "use_policy"} {
		if strings.HasPrefix(lower, legal) {
			return true
		}
	}
	return false
}

// readExtra reads the files of a directory that Save carries through.
func readExtra(dir *folder.Dir) ([]Extra, error) {
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return nil, err
	}
	var out []Extra
	total := int64(0)
	for _, e := range entries { // sorted
		st, err := dir.Stat(e.Name())
		if err != nil || !carried(e.Name()) || !st.Mode().IsRegular() {
			continue // a link that leads nowhere, or out, carries nothing
		}
		if total += st.Size(); total > maxExtras {
			return nil, fmt.Errorf("%w: %s: the files beside the weights have more than %d bytes", checkpoint.ErrFormat, dir.Name(), int64(maxExtras))
		}
		text, err := checkpoint.ReadBytes(dir, e.Name(), maxExtra)
		if err != nil {
			return nil, err
		}
		out = append(out, Extra{e.Name(), text})
	}
	return out, nil
}

// setExtra puts a file among those that are carried, which are sorted by name.
func (b *Bundle) setExtra(name string, data []byte) {
	all := slices.Clone(b.Extra)
	at, there := slices.BinarySearchFunc(all, name, func(e Extra, name string) int { return strings.Compare(e.Name, name) })
	if there {
		all[at].Data = data
	} else {
		all = slices.Insert(all, at, Extra{name, data})
	}
	b.Extra = all
}

// extra is the content of a file that was carried, or nil.
func (b *Bundle) extra(name string) []byte {
	for _, e := range b.Extra {
		if e.Name == name {
			return e.Data
		}
	}
	return nil
}

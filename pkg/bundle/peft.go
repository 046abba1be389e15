package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/folder"
	"github.com/ecospa/ecospa/pkg/checkpoint"
)

const (
	peftWeights = "adapter_model.safetensors"
	peftPickle  = "adapter_model.bin"
)

// readPEFT reads the adapter_config.json of a directory with adapters of the PEFT library;
// nil when there are none: also where the file was only left beside a model that its
// adapters were folded into.
func readPEFT(dir *folder.Dir) (*peftConfig, error) {
	text, peft, err := adapterText(dir, adapterConfig)
	if err != nil || !peft {
		return nil, err
	}
	if _, err := dir.Stat(peftWeights); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if _, err := dir.Stat(peftPickle); err == nil {
			return nil, wrong(dir.Name(), fmt.Errorf("%s of PEFT is a pickle file, which can run code when it is read; save the adapters as %s (save_pretrained with safe_serialization=True)", peftPickle, peftWeights))
		}
		if _, err := dir.Stat("config.json"); err == nil {
			return nil, nil
		}
		return nil, wrong(dir.Name(), fmt.Errorf("%s is PEFT's, but there is no %s beside it", adapterConfig, peftWeights))
	}
	c, err := parsePEFT(text)
	return c, wrong(filepath.Join(dir.Name(), adapterConfig), err)
}

// wrong marks what is the matter with a file; nil stays nil.
func wrong(at string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", checkpoint.ErrFormat, at, err)
}

// base is the directory of the model of PEFT's adapters: base_model_name_or_path, as it is
// or from the adapters' directory.
func (c *peftConfig) base(dir string) (string, error) {
	tries := []string{c.Base}
	if !filepath.IsAbs(c.Base) {
		tries = []string{filepath.Join(dir, c.Base), c.Base}
	}
	for _, at := range tries {
		if st, err := os.Stat(at); c.Base != "" && err == nil && st.IsDir() {
			return at, nil
		}
	}
	name := c.Base
	if hubName.MatchString(name) {
		name = fmt.Sprintf("%s (hf download %s --local-dir BASE)", name, name)
	}
	return "", fmt.Errorf("%s: the PEFT adapters need their model %s, and base_model_name_or_path is %q, which is not a directory relative to it or to here: write the model's path there",
		filepath.Join(dir, adapterConfig), name, c.Base)
}

// openPEFT reads a directory of PEFT's adapters together with the model that they name.
func openPEFT(dir *folder.Dir, c *peftConfig, o Options) (*Bundle, error) {
	base, err := c.base(dir.Name())
	if err != nil {
		return nil, err
	}
	b, err := openBase(dir, base, o)
	if err != nil {
		return nil, err
	}
	b.Path = dir.Name()
	if b.Adapters, b.LoRA, err = readModules(dir, c, b, o.ShapesOnly); err != nil {
		b.Close()
		return nil, err
	}
	if b.Adapters != nil && !o.KeepAdapters {
		b.fold()
	}
	return b, nil
}

package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/ecospa/ecospa/pkg/checkpoint"
)

const peftWeights = "adapter_model.safetensors"

// errPEFT is returned for adapters of the PEFT library, which are not read.
func errPEFT(dir string) error {
	return fmt.Errorf("%w: %s holds adapters of the PEFT library (%s), which are not read: fold them into the model first (merge_and_unload in PEFT)", checkpoint.ErrFormat, dir, peftWeights)
}

// leftOver reports whether an adapter_config.json is PEFT's, left beside a model that its
// adapters were folded into: the adapters themselves are not there.
func leftOver(root checkpoint.Root, name string) (bool, error) {
	text, err := checkpoint.ReadBytes(root, name, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var head struct {
		Type *string `json:"peft_type"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return false, fmt.Errorf("%w: %s: %w", checkpoint.ErrFormat, filepath.Join(root.Name(), name), err)
	}
	if head.Type == nil {
		return false, nil
	}
	for _, weights := range []string{peftWeights, "adapter_model.bin"} {
		if _, err := root.Stat(weights); err == nil {
			return false, errPEFT(root.Name())
		}
	}
	return true, nil
}

package checkpoint

import (
	"fmt"
)

// ReadTensors reads every F32, F16 and BF16 tensor of one safetensors file as
// float32, by name: for golden numbers and tools, not for models.
func ReadTensors(root Root, file string) (map[string][]float32, error) {
	w := &weights{entries: map[string]located{}}
	defer w.close()
	if err := w.open(root, file, nil); err != nil {
		return nil, err
	}
	out := map[string][]float32{}
	for name, l := range w.entries {
		if !isFloat(l.DType) {
			continue
		}
		n := int(l.Offsets[1] - l.Offsets[0])
		values := make([]float32, n/int(dtypeBytes[l.DType]))
		if err := guard(func() error {
			var buf []byte
			if !l.file.IsMapped() {
				buf = make([]byte, n)
			}
			raw, err := l.file.View(l.base+l.Offsets[0], n, buf)
			if err == nil {
				Decode(values, raw, l.DType)
			}
			return err
		}); err != nil {
			return nil, fmt.Errorf("%s: read %s: %w", l.file.Name(), quote(name), err)
		}
		out[name] = values
	}
	return out, nil
}

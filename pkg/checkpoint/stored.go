package checkpoint

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
)

// CheckWeights holds the headers of a model's weights against what the set expects: names,
// shapes, types, and lengths of files. No weights are read.
func CheckWeights(root Root, set *param.Set, tensors []Tensor, ignore []string) error {
	bound, err := bindAll(set, tensors)
	if err != nil {
		return err
	}
	files, err := openWeights(root)
	if err != nil {
		return err
	}
	defer files.close()
	if _, wrong := files.match(bound, ignore); len(wrong) > 0 {
		return fmt.Errorf("%w: %s: %s", ErrFormat, root.Name(), shorten(wrong, 8))
	}
	return nil
}

// Stored says how a model's weights lie on disk: the type of most of their numbers (F32,
// F16 or BF16) and the bytes of their files. Only headers are read.
func Stored(root Root) (dtype string, bytes int64, err error) {
	files, err := openWeights(root)
	if err != nil {
		return "", 0, err
	}
	defer files.close()
	numbers := map[string]int64{}
	for _, e := range files.entries {
		numbers[e.DType] += (e.Offsets[1] - e.Offsets[0]) / dtypeBytes[e.DType]
	}
	most := "F32"
	for _, t := range []string{"F16", "BF16"} {
		if numbers[t] > numbers[most] {
			most = t
		}
	}
	for _, f := range files.files {
		st, err := f.Stat()
		if err != nil {
			return "", 0, err
		}
		bytes += st.Size()
	}
	return most, bytes, nil
}

// Has reports whether a model's weights have a tensor of one of the names. Only headers
// are read.
func Has(root Root, names ...string) (bool, error) {
	files, err := openWeights(root)
	if err != nil {
		return false, err
	}
	defer files.close()
	return files.find(names) != "", nil
}

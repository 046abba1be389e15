package checkpoint

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/ecospa/ecospa/pkg/param"
)

// Gather is small tensors as files of another format have them, copied from the set.
func Gather(set *param.Set, tensors []Tensor) ([]Stream, error) {
	bound, err := bindAll(set, tensors)
	if err != nil {
		return nil, err
	}
	var out []Stream
	var b buffers
	for _, t := range bound {
		var raw bytes.Buffer
		if err := b.write(&raw, t, "F32"); err != nil {
			return nil, err
		}
		values := make([]float32, raw.Len()/4)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw.Bytes()[4*i:]))
		}
		width := len(values) / t.shape[0]
		out = append(out, Stream{Name: t.Name, Shape: t.shape, Fill: func(dst []float32, lo, hi int) { copy(dst, values[lo*width:hi*width]) }})
	}
	return out, nil
}

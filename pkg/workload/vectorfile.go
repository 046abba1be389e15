package workload

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// VectorFile reports whether vectors are written to a file of this name.
func VectorFile(name string) bool {
	ext := filepath.Ext(name)
	return ext == ".npy" || ext == ".jsonl"
}

// writeVectors writes vectors of one length: as .npy, the format of NumPy's arrays
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, version 1.0), or
// as .jsonl, an array a line.
func writeVectors(path string, vectors [][]float32) error {
	var b bytes.Buffer
	if filepath.Ext(path) == ".npy" {
		npy(&b, vectors)
	} else {
		enc := json.NewEncoder(&b)
		for _, v := range vectors {
			if err := enc.Encode(v); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return checkpoint.WriteFile(path, b.Bytes())
}

// npy writes float32 numbers [len(vectors), width]; its header is padded to 64 bytes.
func npy(b *bytes.Buffer, vectors [][]float32) {
	const magic = "\x93NUMPY\x01\x00"
	head := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", len(vectors), len(vectors[0]))
	head += strings.Repeat(" ", (64-(len(magic)+2+len(head)+1)%64)%64) + "\n"
	b.WriteString(magic)
	b.Write(binary.LittleEndian.AppendUint16(nil, uint16(len(head))))
	b.WriteString(head)
	for _, v := range vectors {
		for _, x := range v {
			b.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(x)))
		}
	}
}

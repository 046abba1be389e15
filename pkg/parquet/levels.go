package parquet

import "encoding/binary"

// hybrid decodes numbers of a few bits in runs: of one number, or packed eight and
// eight (https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE).
type hybrid struct {
	data  []byte
	width uint // bits, at most 32

	left   int // of the run
	packed bool
	value  uint32 // that the run repeats
	bit    uint   // of data[0], where the packed run goes on
}

// next returns the next number; false at the end of the data.
func (h *hybrid) next() (uint32, bool) {
	for h.left == 0 {
		if h.bit > 0 { // a packed run ends at a byte's end, which it has not used
			h.data, h.bit = h.data[1:], 0
		}
		head, n := binary.Uvarint(h.data)
		if n <= 0 || head>>1 > 1<<31 {
			return 0, false
		}
		h.data = h.data[n:]
		if h.packed = head&1 == 1; h.packed {
			groups := int(head >> 1)
			if h.width > 0 {
				groups = min(groups, len(h.data)/int(h.width)+1) // the last group may be cut short
			}
			h.left = 8 * groups
			continue
		}
		h.left = int(head >> 1)
		size := int(h.width+7) / 8
		if len(h.data) < size {
			return 0, false
		}
		h.value = 0
		for i := range size {
			h.value |= uint32(h.data[i]) << (8 * i)
		}
		h.data = h.data[size:]
	}
	h.left--
	if !h.packed {
		return h.value, true
	}
	var v uint64
	for got := uint(0); got < h.width; {
		if len(h.data) == 0 {
			return 0, false
		}
		take := min(8-h.bit, h.width-got)
		v |= uint64(h.data[0]>>h.bit) & (1<<take - 1) << got
		got += take
		if h.bit += take; h.bit == 8 {
			h.data, h.bit = h.data[1:], 0
		}
	}
	return uint32(v), true
}

package parquet

import "encoding/binary"

// deltas decodes whole numbers that were stored as differences
// (https://parquet.apache.org/docs/file-format/data-pages/encodings/#DELTAENC) and
// returns the bytes behind them. Lengths are meant: each must lie in 0..most, and no
// more than count are taken.
func deltas(data []byte, count, most int) (values []int, rest []byte, err error) {
	var head [3]uint64 // block size, miniblocks of a block, numbers in all
	for i := range head {
		n := 0
		if head[i], n = binary.Uvarint(data); n <= 0 {
			return nil, nil, bad("the head of lengths is cut off")
		}
		data = data[n:]
	}
	value, n := binary.Varint(data)
	if n <= 0 {
		return nil, nil, bad("the head of lengths is cut off")
	}
	data = data[n:]
	block, minis, total := head[0], head[1], head[2]
	if block == 0 || block > 1<<16 || block%128 != 0 || minis == 0 || block%minis != 0 || block/minis%32 != 0 {
		return nil, nil, bad("lengths in blocks of %d, in %d pieces", block, minis)
	}
	if total != uint64(count) {
		return nil, nil, bad("%d lengths for %d values", total, count)
	}
	take := func() error {
		if value < 0 || value > int64(most) {
			return bad("a value of %d bytes in the %d of its page", value, most)
		}
		values = append(values, int(value))
		return nil
	}
	if count > 0 {
		if err := take(); err != nil {
			return nil, nil, err
		}
	}
	each := int(block / minis)
	for len(values) < count {
		least, n := binary.Varint(data)
		if n <= 0 || len(data)-n < int(minis) {
			return nil, nil, bad("a block of lengths is cut off")
		}
		widths := data[n : n+int(minis)]
		data = data[n+int(minis):]
		for _, width := range widths {
			if len(values) == count {
				break // what is left of the block is not stored
			}
			if width > 64 {
				return nil, nil, bad("lengths of %d bits", width)
			}
			size := each * int(width) / 8
			if len(data) < size {
				return nil, nil, bad("a block of lengths is cut off")
			}
			for i := 0; i < each && len(values) < count; i++ {
				value += least + int64(bits(data, i*int(width), int(width)))
				if err := take(); err != nil {
					return nil, nil, err
				}
			}
			data = data[size:]
		}
	}
	return values, data, nil
}

// bits is the number of width bits that begins at a bit, the least first.
func bits(data []byte, at, width int) (v uint64) {
	for got := 0; got < width; {
		take := min(8-at%8, width-got)
		v |= uint64(data[at/8]>>(at%8)) & (1<<take - 1) << got
		at, got = at+take, got+take
	}
	return v
}

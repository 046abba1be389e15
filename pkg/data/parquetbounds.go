package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/format"
)

// The functions of this file say how much decoding would yield, without decoding.

var errTruncated = errors.New("it ends too early")

// hybrid fails where runs of values (RLE and bit-packed, of width bits) hold more than
// count, but for bit-packed ones, which writers fill up and whose bytes bound them.
func hybrid(data []byte, width, count int) error {
	left := uint64(count)
	for len(data) > 0 {
		head, size := binary.Uvarint(data)
		if size <= 0 {
			return errTruncated
		}
		data = data[size:]
		run, bytes := head>>1, uint64(width+7)/8
		if head&1 == 1 && width > 0 {
			run, bytes = 0, run*uint64(width)
		}
		if head>>1 > 1<<31 || run > left || bytes > uint64(len(data)) {
			return fmt.Errorf("a run of %d values in %d bytes, where %d values are left", head>>1, len(data), left)
		}
		data, left = data[bytes:], left-run
	}
	return nil
}

// packed fails unless data begins with count values in DELTA_BINARY_PACKED, and returns
// what follows them.
func packed(data []byte, count int) (rest []byte, err error) {
	var head [4]uint64 // values a block, blocks' parts, values, the first value
	for i := range head {
		x, n := binary.Uvarint(data)
		if n <= 0 {
			return nil, errTruncated
		}
		head[i], data = x, data[n:]
	}
	block, parts := head[0], head[1]
	if head[2] != uint64(count) {
		return nil, fmt.Errorf("%d values, expected %d", head[2], count)
	}
	if parts == 0 || block == 0 || block > 1<<16 || block%128 != 0 || block%parts != 0 || block/parts%32 != 0 {
		return nil, fmt.Errorf("blocks of %d values in %d parts", block, parts)
	}
	for left := int64(count) - 1; left > 0; {
		_, n := binary.Uvarint(data)
		if n <= 0 || uint64(len(data)-n) < parts {
			return nil, errTruncated
		}
		widths := data[n : n+int(parts)]
		data = data[n+int(parts):]
		for _, w := range widths {
			if left <= 0 {
				break // parts without values are not there
			}
			size := int(block/parts) * int(w) / 8
			if w > 32 || size > len(data) {
				return nil, errTruncated
			}
			data, left = data[size:], left-int64(block/parts)
		}
	}
	return data, nil
}

// parquetExpands fails where a compressed page yields more than size bytes.
func parquetExpands(codec format.CompressionCodec, body []byte, size int) error {
	switch codec {
	case format.Snappy:
		if n, w := binary.Uvarint(body); w <= 0 || n != uint64(size) {
			return fmt.Errorf("a page that is compressed with %s to %d bytes, expected %d", codec, n, size)
		}
	case format.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return err
		}
		if n, err := io.Copy(io.Discard, io.LimitReader(z, int64(size)+1)); err != nil || n > int64(size) {
			return fmt.Errorf("a page that is compressed with %s is longer than its %d bytes, or damaged", codec, size)
		}
	case format.Zstd:
		if n, err := zstdSize(body); err != nil || n > int64(size)+zstdBlock {
			return fmt.Errorf("a page that is compressed with %s is longer than its %d bytes, or damaged", codec, size)
		}
	}
	return nil
}

// zstdBlock is the most that one block of Zstandard yields.
const zstdBlock = 128 << 10

// zstdSize is the most that Zstandard frames yield: what their headers say, else the sum
// of their blocks. Source: RFC 8878, section 3.1.1.
func zstdSize(data []byte) (total int64, err error) {
	for len(data) > 0 {
		if len(data) < 6 {
			return 0, errTruncated
		}
		magic, flags := binary.LittleEndian.Uint32(data), data[4]
		if magic&^0xf == 0x184d2a50 { // a frame to be skipped
			if len(data) < 8 || uint64(binary.LittleEndian.Uint32(data[4:])) > uint64(len(data)-8) {
				return 0, errTruncated
			}
			data = data[8+binary.LittleEndian.Uint32(data[4:]):]
			continue
		}
		if magic != 0xfd2fb528 {
			return 0, errors.New("no Zstandard frame")
		}
		single := flags>>5&1 == 1
		at := 5 + [4]int{0, 1, 2, 4}[flags&3]
		if !single {
			at++ // the window
		}
		width := [4]int{0, 2, 4, 8}[flags>>6]
		if width == 0 && single {
			width = 1
		}
		if len(data) < at+width {
			return 0, errTruncated
		}
		var field [8]byte
		copy(field[:], data[at:at+width])
		known := int64(binary.LittleEndian.Uint64(field[:]))
		if width == 2 {
			known += 256
		}
		blocks, rest, err := zstdBlocks(data[at+width:])
		if err != nil || known < 0 {
			return 0, errTruncated
		}
		if width > 0 {
			blocks = known // the decoder stops there
		}
		if total += blocks; flags>>2&1 == 1 { // a checksum
			if len(rest) < 4 {
				return 0, errTruncated
			}
			rest = rest[4:]
		}
		data = rest
	}
	return total, nil
}

// zstdBlocks is the most that the blocks of a frame yield, and what follows them.
func zstdBlocks(data []byte) (n int64, rest []byte, err error) {
	for {
		if len(data) < 3 {
			return 0, nil, errTruncated
		}
		head := int(data[0]) | int(data[1])<<8 | int(data[2])<<16
		data = data[3:]
		size, most := head>>3, int64(head>>3)
		switch head >> 1 & 3 {
		case 1: // one byte, repeated
			size = 1
		case 2:
			most = zstdBlock
		}
		if size > len(data) {
			return 0, nil, errTruncated
		}
		n, data = n+most, data[size:]
		if head&1 == 1 {
			return n, data, nil
		}
	}
}

package parquet

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// codecs are the names of the compressions, by number.
var codecs = []string{"UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW"}

const (
	uncompressed = 0
	snappyCodec  = 1
	gzipCodec    = 2
	zstdCodec    = 6
)

func codecName(c int) string {
	if c < len(codecs) {
		return codecs[c]
	}
	return fmt.Sprint(c)
}

// decompress returns the size bytes that a page was compressed from. The caller has
// bounded size.
func decompress(codec int, stored []byte, size int) (plain []byte, err error) {
	switch codec {
	case uncompressed:
		plain = stored
	case snappyCodec:
		n, err := snappy.DecodedLen(stored)
		if err != nil {
			return nil, bad("a page in SNAPPY: %w", err)
		}
		if n != size {
			return nil, bad("a page in SNAPPY has %d bytes, its header says %d", n, size)
		}
		if plain, err = snappy.Decode(make([]byte, size), stored); err != nil {
			return nil, bad("a page in SNAPPY: %w", err)
		}
	case gzipCodec:
		z, err := gzip.NewReader(bytes.NewReader(stored))
		if err != nil {
			return nil, bad("a page in GZIP: %w", err)
		}
		plain = make([]byte, size)
		if _, err := io.ReadFull(z, plain); err != nil {
			return nil, bad("a page in GZIP of %d bytes: %w", size, err)
		}
	case zstdCodec:
		// One thread: pages are small. The bounds hold whatever the frame says.
		most := uint64(max(size, 1<<17)) // a block
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(most), zstd.WithDecoderMaxWindow(most))
		if err != nil {
			return nil, bad("a page in ZSTD: %w", err)
		}
		defer z.Close()
		if plain, err = z.DecodeAll(stored, make([]byte, 0, size)); err != nil {
			return nil, bad("a page in ZSTD of %d bytes: %w", size, err)
		}
	default:
		return nil, bad("it is compressed with %s, expected UNCOMPRESSED, SNAPPY, GZIP or ZSTD", codecName(codec))
	}
	if len(plain) != size {
		return nil, bad("a page has %d bytes, its header says %d", len(plain), size)
	}
	return plain, nil
}

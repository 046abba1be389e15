package tfevents

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Writer appends events to a file.
type Writer struct {
	f    *os.File
	sink io.Writer
}

// Create makes a new event file in a folder: TensorBoard reads all of a folder, those of
// later processes after those of earlier ones. purge is the step from which on values of
// earlier files do not count any longer, where a run goes on from a checkpoint; 0 for none.
func Create(dir string, purge int) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	now := time.Now()
	for n := 0; ; n++ {
		name := fmt.Sprintf("events.out.tfevents.%010d.ecospa.%d", now.Unix(), n)
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if os.IsExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		w := &Writer{f: f, sink: f}
		first := protowire.AppendTag(event(now, 0), 3, protowire.BytesType)
		first = protowire.AppendString(first, "brain.Event:2")
		if err := w.write(first); err != nil {
			return nil, err
		}
		if purge > 0 { // SessionLog{status: START}: what follows takes the place of later steps
			e := protowire.AppendTag(event(now, purge), 7, protowire.BytesType)
			log := protowire.AppendTag(nil, 1, protowire.VarintType)
			err = w.write(protowire.AppendBytes(e, protowire.AppendVarint(log, 1)))
		}
		return w, err
	}
}

// Close ends the file.
func (w *Writer) Close() error { return w.f.Close() }

// Sync makes what was written durable.
func (w *Writer) Sync() error { return w.f.Sync() }

// Values is what is said of a step.
type Values struct{ values []byte }

// Scalar adds a number.
func (v *Values) Scalar(tag string, x float64) {
	v.add(tag, func(b []byte) []byte {
		b = protowire.AppendTag(b, 2, protowire.Fixed32Type) // simple_value
		return protowire.AppendFixed32(b, math.Float32bits(float32(x)))
	})
}

// Text adds a text, which TensorBoard shows as Markdown.
func (v *Values) Text(tag, text string) {
	v.add(tag, func(b []byte) []byte {
		dim := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
		shape := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), dim)
		tensor := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 7) // DT_STRING
		tensor = protowire.AppendBytes(protowire.AppendTag(tensor, 2, protowire.BytesType), shape)
		tensor = protowire.AppendString(protowire.AppendTag(tensor, 8, protowire.BytesType), text)
		b = protowire.AppendBytes(protowire.AppendTag(b, 8, protowire.BytesType), tensor)
		plugin := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "text")
		metadata := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), plugin)
		return protowire.AppendBytes(protowire.AppendTag(b, 9, protowire.BytesType), metadata)
	})
}

// PNG adds an image, encoded.
func (v *Values) PNG(tag string, image []byte, width, height int) {
	v.add(tag, func(b []byte) []byte {
		var m []byte
		for field, x := range []int{height, width, 4} { // RGBA
			m = protowire.AppendVarint(protowire.AppendTag(m, protowire.Number(field+1), protowire.VarintType), uint64(x))
		}
		m = protowire.AppendBytes(protowire.AppendTag(m, 4, protowire.BytesType), image)
		return protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), m)
	})
}

// buckets of a histogram.
const buckets = 30

// Histogram adds the distribution of finite numbers, in buckets of equal width.
func (v *Values) Histogram(tag string, all []float64) {
	lo, hi, sum, squares, n := math.Inf(1), math.Inf(-1), 0.0, 0.0, 0
	for _, x := range all {
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			lo, hi, sum, squares, n = min(lo, x), max(hi, x), sum+x, squares+x*x, n+1
		}
	}
	if n == 0 {
		return
	}
	limits, counts := make([]float64, buckets), make([]float64, buckets)
	for i := range limits {
		limits[i] = lo + (hi-lo)*float64(i+1)/buckets
	}
	limits[buckets-1] = hi
	for _, x := range all {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			continue
		}
		i := 0
		if hi > lo {
			i = min(buckets-1, int((x-lo)/(hi-lo)*buckets))
		}
		counts[i]++
	}
	v.add(tag, func(b []byte) []byte {
		var m []byte
		for field, x := range []float64{lo, hi, float64(n), sum, squares} {
			m = protowire.AppendFixed64(protowire.AppendTag(m, protowire.Number(field+1), protowire.Fixed64Type), math.Float64bits(x))
		}
		for field, list := range [][]float64{limits, counts} {
			var packed []byte
			for _, x := range list {
				packed = protowire.AppendFixed64(packed, math.Float64bits(x))
			}
			m = protowire.AppendBytes(protowire.AppendTag(m, protowire.Number(field+6), protowire.BytesType), packed)
		}
		return protowire.AppendBytes(protowire.AppendTag(b, 5, protowire.BytesType), m)
	})
}

func (v *Values) add(tag string, rest func(b []byte) []byte) {
	b := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), tag)
	v.values = protowire.AppendBytes(protowire.AppendTag(v.values, 1, protowire.BytesType), rest(b))
}

// Write writes what is said of a step.
func (w *Writer) Write(step int, v *Values) error {
	if len(v.values) == 0 {
		return nil
	}
	b := protowire.AppendTag(event(time.Now(), step), 5, protowire.BytesType)
	return w.write(protowire.AppendBytes(b, v.values))
}

// event is the beginning of an Event: wall_time and step.
func event(at time.Time, step int) []byte {
	b := protowire.AppendTag(nil, 1, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(at.UnixMicro())/1e6))
	b = protowire.AppendTag(b, 2, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(step))
}

// write writes a record: its length (uint64), the masked CRC-32C of that, the event, and
// its masked CRC-32C, little-endian (tensorflow/core/lib/io/record_writer.h).
func (w *Writer) write(event []byte) error {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(event)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	b = append(b, event...)
	_, err := w.sink.Write(binary.LittleEndian.AppendUint32(b, masked(event)))
	return err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is TensorFlow's checksum: one over data that hold such a sum is none over itself.
func masked(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

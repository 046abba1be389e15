package tfevents

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// schema is the part of TensorBoard's event.proto, summary.proto, tensor.proto and
// tensor_shape.proto that this package writes, as a descriptor: events are read back by
// google.golang.org/protobuf's own parser, which refuses nothing it does not know, so that
// the test looks for unknown fields as well.
const schema = `
name: "event.proto" syntax: "proto3" package: "tensorflow"
message_type { name: "Event"
  field { name: "wall_time" number: 1 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
  field { name: "step" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL }
  field { name: "file_version" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "summary" number: 5 type: TYPE_MESSAGE type_name: ".tensorflow.Summary" label: LABEL_OPTIONAL }
  field { name: "session_log" number: 7 type: TYPE_MESSAGE type_name: ".tensorflow.SessionLog" label: LABEL_OPTIONAL } }
message_type { name: "SessionLog"
  field { name: "status" number: 1 type: TYPE_INT32 label: LABEL_OPTIONAL } }
message_type { name: "Summary"
  field { name: "value" number: 1 type: TYPE_MESSAGE type_name: ".tensorflow.Value" label: LABEL_REPEATED } }
message_type { name: "Value"
  field { name: "tag" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "simple_value" number: 2 type: TYPE_FLOAT label: LABEL_OPTIONAL }
  field { name: "image" number: 4 type: TYPE_MESSAGE type_name: ".tensorflow.Image" label: LABEL_OPTIONAL }
  field { name: "histo" number: 5 type: TYPE_MESSAGE type_name: ".tensorflow.HistogramProto" label: LABEL_OPTIONAL }
  field { name: "tensor" number: 8 type: TYPE_MESSAGE type_name: ".tensorflow.TensorProto" label: LABEL_OPTIONAL }
  field { name: "metadata" number: 9 type: TYPE_MESSAGE type_name: ".tensorflow.SummaryMetadata" label: LABEL_OPTIONAL } }
message_type { name: "Image"
  field { name: "height" number: 1 type: TYPE_INT32 label: LABEL_OPTIONAL }
  field { name: "width" number: 2 type: TYPE_INT32 label: LABEL_OPTIONAL }
  field { name: "colorspace" number: 3 type: TYPE_INT32 label: LABEL_OPTIONAL }
  field { name: "encoded_image_string" number: 4 type: TYPE_BYTES label: LABEL_OPTIONAL } }
message_type { name: "HistogramProto"
  field { name: "min" number: 1 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
  field { name: "max" number: 2 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
  field { name: "num" number: 3 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
  field { name: "sum" number: 4 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
  field { name: "sum_squares" number: 5 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
  field { name: "bucket_limit" number: 6 type: TYPE_DOUBLE label: LABEL_REPEATED }
  field { name: "bucket" number: 7 type: TYPE_DOUBLE label: LABEL_REPEATED } }
message_type { name: "TensorProto"
  field { name: "dtype" number: 1 type: TYPE_INT32 label: LABEL_OPTIONAL }
  field { name: "tensor_shape" number: 2 type: TYPE_MESSAGE type_name: ".tensorflow.TensorShapeProto" label: LABEL_OPTIONAL }
  field { name: "string_val" number: 8 type: TYPE_BYTES label: LABEL_REPEATED } }
message_type { name: "TensorShapeProto"
  field { name: "dim" number: 2 type: TYPE_MESSAGE type_name: ".tensorflow.Dim" label: LABEL_REPEATED } }
message_type { name: "Dim"
  field { name: "size" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL } }
message_type { name: "SummaryMetadata"
  field { name: "plugin_data" number: 1 type: TYPE_MESSAGE type_name: ".tensorflow.PluginData" label: LABEL_OPTIONAL } }
message_type { name: "PluginData"
  field { name: "plugin_name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } }
`

// read parses an event file.
func read(t *testing.T, path string) (events []protoreflect.Message) {
	t.Helper()
	var d descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(schema), &d); err != nil {
		t.Fatal(err)
	}
	file, err := protodesc.NewFile(&d, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// unmask undoes the rotation and the constant.
	unmask := func(m uint32) uint32 { m -= 0xa282ead8; return m>>17 | m<<15 }
	table := crc32.MakeTable(crc32.Castagnoli)
	for len(b) > 0 {
		n := int(binary.LittleEndian.Uint64(b))
		if unmask(binary.LittleEndian.Uint32(b[8:])) != crc32.Checksum(b[:8], table) || unmask(binary.LittleEndian.Uint32(b[12+n:])) != crc32.Checksum(b[12:12+n], table) {
			t.Fatal("a record's checksum is wrong")
		}
		m := dynamicpb.NewMessage(file.Messages().ByName("Event"))
		if err := proto.Unmarshal(b[12:12+n], m); err != nil {
			t.Fatal(err)
		}
		known(t, m)
		events, b = append(events, m), b[16+n:]
	}
	return events
}

func known(t *testing.T, m protoreflect.Message) {
	t.Helper()
	if len(m.GetUnknown()) > 0 {
		t.Errorf("%s has fields that it does not have in TensorBoard", m.Descriptor().Name())
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				known(t, v.List().Get(i).Message())
			}
		case f.Message() != nil:
			known(t, v.Message())
		}
		return true
	})
}

// at follows names through messages; in a list the first.
func at(m protoreflect.Message, names ...protoreflect.Name) protoreflect.Value {
	for i, name := range names {
		v := m.Get(m.Descriptor().Fields().ByName(name))
		if l, ok := v.Interface().(protoreflect.List); ok {
			v = l.Get(0)
		}
		if i == len(names)-1 {
			return v
		}
		m = v.Message()
	}
	return protoreflect.Value{}
}

// TestEventsAreReadBack: every kind of value, by another parser.
func TestEventsAreReadBack(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(dir, 40)
	if err != nil {
		t.Fatal(err)
	}
	var scalar, text, image, histogram, none Values
	scalar.Scalar("loss", 2.5)
	text.Text("samples/0", "One day")
	image.PNG("plan", []byte("png"), 3, 2)
	histogram.Histogram("scores", []float64{1, 2, 2, 4, math.NaN(), math.Inf(1)})
	none.Histogram("empty", nil)
	for step, v := range []*Values{&scalar, &text, &image, &histogram, &none} {
		if err := w.Write(41+step, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	paths, _ := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if len(paths) != 1 {
		t.Fatal(paths)
	}
	e := read(t, paths[0])
	if len(e) != 6 {
		t.Fatalf("%d events, expected 6", len(e))
	}
	if v := at(e[0], "file_version").String(); v != "brain.Event:2" || at(e[0], "wall_time").Float() < 1.7e9 {
		t.Errorf("the file begins with %q", v)
	}
	if at(e[1], "session_log", "status").Int() != 1 || at(e[1], "step").Int() != 40 {
		t.Error("no START of step 40")
	}
	if at(e[2], "step").Int() != 41 || at(e[2], "summary", "value", "tag").String() != "loss" || at(e[2], "summary", "value", "simple_value").Float() != 2.5 {
		t.Errorf("the scalar is %v", e[2])
	}
	if v := e[3]; !bytes.Equal(at(v, "summary", "value", "tensor", "string_val").Bytes(), []byte("One day")) || at(v, "summary", "value", "tensor", "dtype").Int() != 7 ||
		at(v, "summary", "value", "tensor", "tensor_shape", "dim", "size").Int() != 1 || at(v, "summary", "value", "metadata", "plugin_data", "plugin_name").String() != "text" {
		t.Errorf("the text is %v", v)
	}
	if v := e[4]; at(v, "summary", "value", "image", "height").Int() != 2 || at(v, "summary", "value", "image", "width").Int() != 3 || string(at(v, "summary", "value", "image", "encoded_image_string").Bytes()) != "png" {
		t.Errorf("the image is %v", v)
	}
	h := at(e[5], "summary", "value", "histo").Message()
	for name, want := range map[protoreflect.Name]float64{"min": 1, "max": 4, "num": 4, "sum": 9, "sum_squares": 25} {
		if got := at(h, name).Float(); got != want {
			t.Errorf("the histogram's %s is %g, expected %g", name, got, want)
		}
	}
	counts := h.Get(h.Descriptor().Fields().ByName("bucket")).List()
	sum := 0.0
	for i := range counts.Len() {
		sum += counts.Get(i).Float()
	}
	if sum != 4 || counts.Get(0).Float() != 1 || counts.Get(counts.Len()-1).Float() != 1 || counts.Get(10).Float() != 2 {
		t.Errorf("%g values in the buckets", sum)
	}
}

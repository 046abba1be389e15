// Package onnxtest reads and runs ONNX files, so that tests can compare the logits
// of an exported file with those of its model. No product code imports it; its
// field numbers are read from onnx.proto3 anew and not shared with the writer.
//
// Reading fetches a weight when a node needs it. Running covers the operators that
// exported models use, with no care for speed; onnxruntime (scripts/interop) is
// the judge of what this package and the writer might both misread.
package onnxtest

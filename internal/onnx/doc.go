// Package onnx writes and reads ONNX files (https://onnx.ai/onnx/repo-docs/IR.html)
// of operator set 17, and runs small graphs.
//
// A graph is nodes in the order of running; a node is an operator with named
// values in and out. An initializer is a value that the file brings along: the
// weights. A file is one protobuf message; weights beyond its limit of 2 GiB lie
// beside it in a file of their own, as external data.
//
// Writing goes row by row, reading fetches a weight when a node needs it:
// neither holds a second copy of a model. Running is for checking a file against
// the model that it came from, not for speed.
package onnx

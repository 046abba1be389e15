package onnx

import "github.com/ecospa/ecospa/pkg/checkpoint"

// Opset is the version of the operators.
const Opset = 17

// Element types of values, as in the file.
const (
	Float   = 1
	Int64   = 7
	Bool    = 9
	Float16 = 10
)

// Graph is a model: what WriteTo writes.
type Graph struct {
	Name         string
	Nodes        []Node
	Initializers []Initializer
	Inputs       []Value
	Outputs      []Value
}

// Node is one application of an operator.
type Node struct {
	Op         string
	In, Out    []string
	Attributes []Attribute
}

// Attribute is a named constant of a node: a float32, an int64 or an []int64.
type Attribute struct {
	Name  string
	Value any
}

// Initializer is a value in the file: weights of the type F32 or F16, or, where
// Ints is not nil, 64-bit integers.
type Initializer struct {
	checkpoint.Stream
	DType string
	Ints  []int64
}

// Value is an input or output of the graph. Its dimensions are numbers, or names
// where callers choose them.
type Value struct {
	Name string
	Type int32
	Dims []Dim
}

// Dim is one dimension: Name, or Size where it has none.
type Dim struct {
	Name string
	Size int64
}

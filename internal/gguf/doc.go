// Package gguf writes and reads GGUF, the file format of llama.cpp
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), version 3.
//
// A file is a list of keys with typed values, a list of tensors, and their data.
// A tensor's data lie row after row; its dimensions are kept the other way
// round, the row's length first. All numbers are little endian.
//
// Quantized types keep a row in blocks: Q8_0 is 32 elements as one half-precision
// scale d and 32 signed bytes q, element i being d·q[i].
package gguf

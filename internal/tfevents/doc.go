// Package tfevents writes TensorBoard's event files: records of protocol buffers, each with
// its length and the CRC-32C of both.
//
// Only what is written is known here: scalars, histograms, texts and images of tensorflow.Event
// (https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto,
// summary.proto, tensor.proto). That is some twenty fields, which google.golang.org/protobuf's
// protowire writes; its generated messages would be larger than this package.
package tfevents

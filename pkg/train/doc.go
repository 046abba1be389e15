// Package train is the training loop, which does almost nothing: it takes a
// batch, runs the machine, updates the parameters. Evaluation, checkpoints,
// pruning events, metrics and progress are hooks attached from outside, each
// with a name, called in the order they were attached.
//
// A Loop owns what a step touches: the parameters, their gradients, the
// optimizer's moments, the evidence, and the machine lowered from them. After a
// pruning event all of these have shrunk and the machine is lowered again.
package train

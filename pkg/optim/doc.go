// Package optim updates parameters: optimizers and learning-rate schedules, each in
// a file of its own that registers itself by the name that the run file gives.
//
// An optimizer's state is slabs with a Layout: where the state of each block of
// parameters stands. A slab with one element a weight has the weights' own layout, so
// that an update is one pass over contiguous arrays; one that keeps less (a row a unit,
// only the vectors) has a layout of its own, of the same blocks. Everything that happens
// to state beside the update follows from that: checkpoints write slabs by their names,
// ranks divide them at block boundaries (Parts, Span), pruning cuts them (Shrink).
package optim

// Package param is the durable noun of the project: the parameters of a model.
//
// A Spec says what one parameter is before it has storage: its name, its named
// dimensions, how it starts. Dimensions with the same name are the same
// dimension of the model, so they have one size and are pruned together; that
// is all that coupled pruning needs to know about an architecture.
//
// A Set holds the parameters of one model in one Slab, a contiguous run of
// float32 outside the Go heap. Gradients and optimizer moments are further
// slabs with the same offsets. Parameters that share a Block lie next to each
// other and can be multiplied as one matrix (Q, K and V of a layer; gate and up).
//
// A Cut says which units of which dimensions stay. Set.Shrink carries it out on
// the weights and on every parallel slab in one forward sweep, in place: each
// kept element moves to a lower or equal offset, and the freed tail goes back
// to the operating system.
//
// Weights are unit-major (ECOSPA: "coupled pairs"): the rows of a prunable
// dimension are runs of whole rows, and the last dimension is the residual width.
package param

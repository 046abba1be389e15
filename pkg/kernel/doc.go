// Package kernel is the project's float32 mathematics on plain slices.
//
// One file holds one operation, forward and backward together: NameForward and
// NameBackward, destination first, gradients with a d prefix (dx is dLoss/dx).
// Every operation has a readable Go reference that is its oracle; where speed
// needs it, assembly stands beside the reference and is chosen at start from
// the CPU's features (see Path).
//
// Kernels take a Pool, which is the only source of parallelism, and allocate
// nothing. They split work in fixed chunks, so the same thread count gives the
// same bits. They panic, with constant messages, on slices of the wrong length:
// that is a programming error, never a user's.
//
// Letters: B batch, T tokens of a sequence, N = B·T rows, E residual width,
// H query heads, G key/value heads, R = H/G, F feed-forward width, V vocabulary.
package kernel

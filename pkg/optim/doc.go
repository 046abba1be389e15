// Package optim updates parameters: AdamW over slabs, and learning-rate schedules.
//
// Moments are slabs parallel to the weights (same offsets), so an update is one
// pass over four contiguous arrays, and pruning shrinks them with their weights.
package optim

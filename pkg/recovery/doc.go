// Package recovery trains a pruned model against the model that it was cut from.
//
// One cut costs a model that was trained to the end far more than any choice of units
// can win back; minutes of training against its parent take most of it away
// (docs/method.md, "Recovery"). The parent is the model before the cut, the child the
// smaller one. A step runs the parent forward on a batch, then the child forward and
// backward: the loss is the divergence of their predictions (Kullback-Leibler, at
// temperature 1) and, fading out, the relative error of the child's residual stream
// after each sub-layer. Learning rates follow the scale of the child's own weights
// (optim.WeightScale), so that one setting fits models of very different sizes.
package recovery

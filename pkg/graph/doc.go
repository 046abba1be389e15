// Package graph is the only room that knows Gorgonia's machinery.
//
// A Builder grows a gorgonia.ExprGraph from a family's description. Its leaves
// are the blocks of a param.Set, token ids and scalars; its operations are
// kernels, each one literal of Op (op_*.go). gorgonia.Grad derives the backward graph.
//
// Lower turns the graph into a Machine, a gorgonia.VM, in passes: nodes that
// nothing needs are dropped and the rest is put in order (step.go), values that
// are to be dropped are computed again where the backward pass reads them
// (checkpoint.go), it is settled which values are stored as bfloat16 (narrow.go), every value gets its place in one arena by the time it is
// alive (planner.go), and each node becomes a call with its slices bound (bind.go);
// parameter gradients are added straight into the gradient slab. Running a step
// then walks a list of calls and allocates nothing. The Plan says what the
// machine will do before it runs, as numbers and as a drawing. ONNX lowers the same
// graph to a file instead: an operation says its ONNX form beside its kernel.
//
// A Tap marks where a coupled pair meets; after differentiation it becomes the
// gate gradient r = sum over tokens of value times gradient (docs/method.md,
// "Coupled estimation"), an output named after the pair's dimension. A Site marks
// an activation that an observer is shown during a run.
//
// A graph of the user's own, of Gorgonia's operations and of these, runs on the Machine
// as well: Wrap makes a Builder over it, Apply and the Builder's methods add nodes, and
// Gorgonia's operations write to the planned arena where they can (stockop.go). See
// examples/gorgonia.
//
// Rewrite carries out a cut on the parameters and everything parallel to them.
// It decides nothing; the caller lowers the graph again.
//
// Letters: B sequences, T tokens of each, N = B·T rows, E residual width, M rows
// of a weight matrix, F feed-forward width, V vocabulary.
package graph

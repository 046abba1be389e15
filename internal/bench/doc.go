// Package bench times training steps and inference of models by name, with random
// weights and inputs, whole or at pruned widths.
//
// Options say what is timed; Step, Infer and Modes time it and return a Result,
// whose keys are those of the PyTorch yardstick's line (scripts/versus_torch.sh).
// Rates are shares of what this machine was measured to do in the same process.
package bench

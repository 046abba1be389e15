// Package run is the life of a run directory: a training run is started, or an
// interrupted one resumed, trained, saved, rolled back and finished in it.
//
// Start makes a Job from a run file (config.Run); Train runs it to its end, or to
// an interruption, which it saves; a run that is resumed ends with the bits of one
// that was not interrupted. Nothing is printed: all that happens is told as typed
// Events, whose String is a line for a log, and errors are typed where a caller can
// do something about them (ErrExists, ChangedError, ErrTooLarge, Interrupted).
//
// A run directory is itself a model directory:
//
//	RUN/run.yaml                    the effective run file
//	RUN/metrics.jsonl               a line a step, train.Record
//	RUN/plans/step-000060.json      what each pruning event decided
//	RUN/state/step-000400/          a checkpoint: model, optimizer, trainer.json
//	RUN/config.json, model.safetensors, tokenizer.json   links into the newest checkpoint
//	RUN/summary.json                of a finished run, train.Summary
package run

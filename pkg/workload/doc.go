// Package workload is what a model is trained and measured on: text or images, behind
// one interface, so that nothing above it asks which of the two it is.
//
// A workload has two parts. The training part gives batches without end and calibration
// sequences; the validation part is what losses are measured on. ReadText and ReadImages
// make them from the data section of a run file, Open for a model that is there already:
// its tokenizer, its classes and what its image processor does to pixels count then.
package workload

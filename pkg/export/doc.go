// Package export writes models in the formats that other programs load:
// directories of Hugging Face transformers, GGUF files of llama.cpp, ONNX files.
//
// Those formats know fewer shapes than pruning produces. A fit is the shape that
// the file will have: the least one of the format that holds the model. Where it
// is larger than the model, zeros fill the difference, which changes no logit: a
// zero row of a query or key adds nothing to a score, a zero row of a value or of
// the feed-forward network adds nothing to the residual stream. A Gap says where
// that is so and how to prune without it; without leave to pad it is an error.
//
// A fit keeps two more promises. Formats divide scores by the square root of the
// width of their heads: W_Q is multiplied by sqrt(fit's width / dense width), so
// that the scores stay those of the trained model. Formats derive rotation
// frequencies from that width: factors that they divide by bring back those of
// the pairs that are left.
//
// Files are written row by row from the parameters; no second copy of the model
// is made. Letters are those of package model.
package export

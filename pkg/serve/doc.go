// Package serve answers OpenAI's HTTP protocol with a model of this project: text
// and chat completions with log-probabilities, streamed or whole, embeddings, and
// the calls with which lm-evaluation-harness and Open WebUI find their way.
//
// It is the only package that may use the network. A request is checked whole
// before it is queued: a field that would change the answer and is not served is an
// error, never ignored. What a client sends is never logged.
//
// Nouns: a Model is what is served (scheduler, tokenizer, chat template); a
// completion is one choice of an answer; text offsets count code points, as
// Python's len does.
package serve

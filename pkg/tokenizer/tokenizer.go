package tokenizer

import (
	"fmt"
)

// Tokenizer turns text into ids and back. Implementations are safe for concurrent use.
type Tokenizer interface {
	// Encode appends the ids of text to dst.
	Encode(dst []int32, text []byte) []int32
	// Decode appends the bytes of ids to dst. Ids outside the vocabulary are an error.
	Decode(dst []byte, ids []int32) ([]byte, error)
	// Piece is the bytes that id stands for within a text, not to be changed. At the
	// beginning of a text Decode may drop a space of it.
	Piece(id int32) ([]byte, error)
	// Vocab is the number of ids.
	Vocab() int
	// Template is the ids that the tokenizer's model expects in front of a text and
	// behind it: what its post-processor adds (Llama: the beginning of a text; GPT-2: none).
	Template() (front, back []int32)
	// EOS is the id that ends a text, or -1.
	EOS() int32
	// JSON is the tokenizer as a Hugging Face tokenizer.json.
	JSON() ([]byte, error)
}

// Config is the tokenizer section of a run file: what Train names is trained on
// the corpus, or what Path names is opened.
type Config struct {
	Train string `yaml:"train"` // bpe (default), trained on the training text, or bytes, which needs no training
	Vocab int    `yaml:"vocab"` // ids of a trained BPE, 257 to 1048576; default 4096
	Path  string `yaml:"path"`  // a tokenizer.json, vocab.json or tokenizer.model, or a directory that holds one, instead of train
}

// DefaultConfig is the configuration of a run file without a tokenizer section.
func DefaultConfig() Config { return Config{Train: "bpe", Vocab: 4096} }

// Validate reports the first value that makes no sense, by key.
func (c Config) Validate() error {
	if c.Path == "" && c.Train != "bpe" && c.Train != "bytes" {
		return fmt.Errorf("tokenizer.train is %q, expected bpe or bytes", c.Train)
	}
	if c.Path == "" && c.Train == "bpe" && (c.Vocab < 257 || c.Vocab > 1<<20) {
		return fmt.Errorf("tokenizer.vocab is %d, expected 257 (the bytes and the end of text) to %d", c.Vocab, 1<<20)
	}
	return nil
}

// New makes the tokenizer of a configuration; text is what a BPE is trained on.
func (c Config) New(text []byte) (Tokenizer, error) {
	switch {
	case c.Path != "":
		return Open(c.Path)
	case c.Train == "bytes":
		return Bytes{}, nil
	}
	return Train(text, c.Vocab)
}

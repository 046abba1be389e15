package tokenizer

// SentencePieceJSON is a SentencePiece model (a ModelProto, as in tokenizer.model) as a
// tokenizer.json.
func SentencePieceJSON(model []byte) ([]byte, error) { return convertSentencePiece(model) }

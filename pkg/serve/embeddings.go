package serve

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
)

// Embedder makes the vectors of /v1/embeddings, one request at a time.
type Embedder struct {
	Texts   bundle.Embedding // how texts become tokens, and those vectors
	embed   infer.Embedder
	waiting chan struct{} // who has or waits for the encoder; its room is the queue
	turn    chan struct{}
}

// loadEncoder is Load for an encoder, which answers /v1/embeddings alone.
func loadEncoder(b *bundle.Bundle, path string, o LoadOptions) (*Model, func(), error) {
	e, err := b.Embedding()
	if err != nil {
		return nil, nil, err
	}
	if e.Pooling == "" {
		return nil, nil, fault.Usage(fmt.Errorf("%s has no modules.json that names the pooling", path))
	}
	if o.Template != "" || o.BF16 {
		return nil, nil, fault.Usage(fmt.Errorf("%s is an encoder: it has no chat template, and its products are of float32", path))
	}
	pool := kernel.NewPool(o.Threads)
	m := &Model{ID: o.ID, Created: time.Now(), Tokenizer: b.Tokenizer, Ends: b.Ends, Embedder: &Embedder{
		Texts:   e,
		embed:   infer.Embedder{Model: b.Model.(model.Encoder), Set: b.Set, Pool: pool, Pooling: model.Pooling(e.Pooling), Normalize: e.Normalize},
		waiting: make(chan struct{}, max(1, o.Queue)), turn: make(chan struct{}, 1),
	}}
	m.called(path)
	return m, func() { m.Embedder.close(); pool.Close(); b.Close() }, nil
}

func (e *Embedder) close() {
	e.turn <- struct{}{} // nobody has the encoder any longer
	e.embed.Close()
}

// vectors waits for its turn and makes the vectors of texts.
func (e *Embedder) vectors(ctx context.Context, texts [][]int32) ([][]float32, error) {
	select {
	case e.waiting <- struct{}{}:
		defer func() { <-e.waiting }()
	default:
		return nil, infer.ErrFull
	}
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return e.embed.Embed(ctx, texts)
}

// vector is an embedding in an answer: numbers, or their bytes (little-endian float32).
type vector struct {
	values []float32
	base64 bool
}

func (v vector) MarshalJSON() ([]byte, error) {
	if !v.base64 {
		return json.Marshal(v.values)
	}
	raw := make([]byte, 0, 4*len(v.values))
	for _, x := range v.values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return json.Marshal(base64.StdEncoding.EncodeToString(raw))
}

type embeddingsRequest struct {
	Input      prompts `json:"input"`
	Format     *string `json:"encoding_format"` // float (default) or base64
	Dimensions *int    `json:"dimensions"`      // the model's own
}

type oneEmbedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding vector `json:"embedding"`
}

// embeddings answers POST /v1/embeddings.
func (s *Server) embeddings(m *Model, w *response, r *http.Request) error {
	if m.Embedder == nil {
		return &apiError{status: 400, kind: "invalid_request_error", code: "model_not_supported", message: m.ID + " writes text: embeddings are made by encoders (BERT, MiniLM)"}
	}
	var q embeddingsRequest
	if err := readJSON(r, &q); err != nil {
		var e *apiError
		if errors.As(err, &e) && e.param == "prompt" { // what completions call it
			return bad("input", "input"+e.message[len("prompt"):])
		}
		return err
	}
	texts, tokens, err := q.texts(m)
	if err != nil {
		return err
	}
	w.prompt = tokens
	vectors, err := m.Embedder.vectors(r.Context(), texts)
	if r.Context().Err() != nil {
		return errGone
	}
	if err != nil {
		return err
	}
	data := make([]oneEmbedding, len(vectors))
	for i, v := range vectors {
		data[i] = oneEmbedding{"embedding", i, vector{v, q.Format != nil && *q.Format == "base64"}}
	}
	w.json(200, map[string]any{"object": "list", "data": data, "model": m.ID, "usage": map[string]int{"prompt_tokens": tokens, "total_tokens": tokens}})
	return nil
}

// texts are the request's texts as ids, and how many they are together. Text gets the
// tokenizer's template, ids are taken as they are. Nothing is cut off.
func (q *embeddingsRequest) texts(m *Model) (texts [][]int32, tokens int, err error) {
	width := m.Embedder.embed.Model.Arch().Hidden
	switch {
	case len(q.Input) == 0:
		return nil, 0, bad("input", "input is missing")
	case q.Format != nil && !slices.Contains([]string{"float", "base64"}, *q.Format):
		return nil, 0, bad("encoding_format", fmt.Sprintf("encoding_format is %q, expected float or base64", *q.Format))
	case q.Dimensions != nil && *q.Dimensions != width:
		return nil, 0, bad("dimensions", fmt.Sprintf("dimensions is %d, the model's vectors have %d numbers", *q.Dimensions, width))
	}
	most := m.Embedder.Texts
	limit := most.MaxTokens
	most.MaxTokens = math.MaxInt
	for i, p := range q.Input {
		ids := p.ids
		if !p.isIDs {
			ids, _ = most.Encode(m.Tokenizer, []byte(p.text))
		}
		if len(ids) < 1 || len(ids) > limit {
			return nil, 0, &apiError{status: 400, kind: "invalid_request_error", param: "input", code: "context_length_exceeded", message: fmt.Sprintf("text %d of input has %d tokens, expected 1 to %d", i, len(ids), limit)}
		}
		for _, id := range ids {
			if id < 0 || int(id) >= m.Embedder.embed.Model.Vocab() {
				return nil, 0, bad("input", fmt.Sprintf("text %d of input has the id %d, expected 0 to %d", i, id, m.Embedder.embed.Model.Vocab()-1))
			}
		}
		texts, tokens = append(texts, ids), tokens+len(ids)
	}
	return texts, tokens, nil
}

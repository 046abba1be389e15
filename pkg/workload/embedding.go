package workload

import (
	"context"
	"fmt"
	"time"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/prune"
)

// Embedding makes a vector of each document of a text with an encoder, in a file.
type Embedding struct {
	Model, Data, Out string // Out is a file of VectorFile
	Open             bundle.Options
	Text             data.Options
	Pooling          string // mean or cls; "" is what the model's files say
	Normalize        bool   // also where they do not
	Batch, Threads   int    // texts a pass; Threads 0 is one a core
	Log              func(line string)
	Progress         func(done, of int64) // texts; may be nil
}

// EmbeddingResult is what was made.
type EmbeddingResult struct {
	Out        string  `json:"out"`
	Texts      int     `json:"texts"`
	Width      int     `json:"width"`
	Pooling    string  `json:"pooling"`
	Normalized bool    `json:"normalized"`
	Tokens     int     `json:"tokens"`
	Cut        int     `json:"cut"` // texts that were longer than max_tokens
	MaxTokens  int     `json:"max_tokens"`
	Seconds    float64 `json:"seconds"`
	TextsPerS  float64 `json:"texts_per_second"`
}

// Run makes the vectors and writes them.
func (o Embedding) Run(ctx context.Context) (*EmbeddingResult, error) {
	b, err := bundle.Open(o.Model, o.Open)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	for _, n := range b.Notes {
		o.Log(fmt.Sprintf("note: %s: %s", o.Model, n))
	}
	e, err := b.Embedding()
	if err != nil {
		return nil, err
	}
	if o.Pooling != "" {
		e.Pooling = o.Pooling
	}
	if e.Pooling == "" {
		return nil, fault.Usage(fmt.Errorf("%s has no modules.json that names the pooling: choose the pooling, mean or cls", o.Model))
	}
	part, err := data.Read(o.Data, o.Text)
	if err != nil {
		return nil, fault.BadInput(err)
	}
	if part.Shards != nil {
		return nil, fault.BadInput(fmt.Errorf("%s holds token ids, expected texts", o.Data))
	}
	r := &EmbeddingResult{Out: o.Out, Texts: len(part.Documents), Width: b.Model.Arch().Hidden, Pooling: e.Pooling, Normalized: e.Normalize || o.Normalize, MaxTokens: e.MaxTokens}
	var texts [][]int32
	for _, d := range part.Documents {
		ids, cut := e.Encode(b.Tokenizer, d)
		if cut {
			r.Cut++
		}
		texts, r.Tokens = append(texts, ids), r.Tokens+len(ids)
	}
	on := prune.NewSubject(b.Model, b.Set, o.Threads, dist.Alone{})
	defer on.Close()
	start := time.Now()
	embedder := infer.Embedder{Model: b.Model.(model.Encoder), Set: b.Set, Pool: on.Pool, Pooling: model.Pooling(e.Pooling), Normalize: r.Normalized, Batch: o.Batch, Progress: o.Progress}
	vectors, err := embedder.Embed(ctx, texts)
	if err != nil {
		return nil, err
	}
	r.Seconds = time.Since(start).Seconds()
	r.TextsPerS = float64(r.Texts) / r.Seconds
	return r, writeVectors(o.Out, vectors)
}

func (r *EmbeddingResult) String() string {
	cut := ""
	if r.Cut > 0 {
		cut = fmt.Sprintf("cut         %d texts were longer than %d tokens\n", r.Cut, r.MaxTokens)
	}
	return fmt.Sprintf("texts       %d (%d tokens)\n%svectors     %s: %d numbers each, pooling %s, normalized %t\nspeed       %.1f texts/s\n",
		r.Texts, r.Tokens, cut, r.Out, r.Width, r.Pooling, r.Normalized, r.TextsPerS)
}

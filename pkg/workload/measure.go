package workload

import (
	"fmt"
	"math"
	"time"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/prune"
)

// TextResult is what eval prints with --json.
type TextResult struct {
	Loss       float64 `json:"loss"`       // nats per predicted token
	Perplexity float64 `json:"perplexity"` // exp(loss)
	Tokens     int     `json:"tokens"`     // predicted tokens
	Params     int     `json:"params"`
	// Bytes is the length of the text, null where not all of it is predicted: masked-language
	// models, chats. BitsPerB is loss·tokens / (bytes·ln 2), comparable between tokenizers; null
	// without Bytes and with a limit.
	Bytes      *int     `json:"bytes"`
	BitsPerB   *float64 `json:"bits_per_byte"`
	Context    int      `json:"context"` // tokens a window
	Seconds    float64  `json:"seconds"`
	TokensPerS float64  `json:"tokens_per_s"`
	PeakRSS    int64    `json:"peak_rss"`     // bytes
	Weights    int64    `json:"weight_bytes"` // planned, as they are kept
	// Documents is how many were told apart, and DocumentLoss the mean of their own losses,
	// nats per predicted token; both are left out of a stream.
	Documents    int     `json:"documents,omitempty"`
	DocumentLoss float64 `json:"document_loss,omitempty"`
}

// ImageResult is what eval prints with --json for a model of images.
type ImageResult struct {
	Loss       float64 `json:"loss"` // nats per image
	Top1       float64 `json:"top1"` // share of images whose class is the likeliest
	Top5       float64 `json:"top5"` // or among the five likeliest
	Images     int     `json:"images"`
	Params     int     `json:"params"`
	Seconds    float64 `json:"seconds"`
	ImagesPerS float64 `json:"images_per_s"` // decoding included
	PeakRSS    int64   `json:"peak_rss"`     // bytes
	Weights    int64   `json:"weight_bytes"` // planned, as they are kept
}

// Measure evaluates the model of a bundle on the validation part of w and says how it went.
func Measure(b *bundle.Bundle, w Workload, on prune.Subject, o EvalOptions) (fmt.Stringer, error) {
	if w.Unit() == OneText {
		return nil, fault.Usage(fmt.Errorf("%s is an encoder without a masked-language-model head: it has no loss of its own. What pruning does to its vectors is in prune's report", b.Path))
	}
	start := time.Now()
	v, err := w.Evaluate(on, o)
	if err != nil {
		return nil, err
	}
	took := time.Since(start).Seconds()
	_, peak := sysmem.Resident()
	if w.Unit() == Image {
		return ImageResult{
			Loss: v.Loss, Top1: v.Top1, Top5: v.Top5, Images: v.Tokens, Params: b.Set.Count(), Seconds: took, ImagesPerS: float64(v.Tokens) / took, PeakRSS: peak, Weights: b.Set.WeightBytes(),
		}, nil
	}
	_, tokens := w.Counts()
	r := TextResult{
		Loss: v.Loss, Perplexity: v.Perplexity(), Tokens: v.Tokens, Params: b.Set.Count(),
		Context: min(o.Context, tokens-1), Seconds: took, TokensPerS: float64(v.Tokens) / took, PeakRSS: peak, Weights: b.Set.WeightBytes(), Documents: v.Documents, DocumentLoss: v.DocumentLoss,
	}
	if n := w.Bytes(); n > 0 {
		r.Bytes = &n
		if bits := v.Loss * float64(v.Tokens) / (float64(n) * math.Ln2); o.Limit == 0 {
			r.BitsPerB = &bits
		}
	}
	return r, nil
}

func (r TextResult) String() string {
	documents := ""
	if r.Documents > 0 {
		documents = fmt.Sprintf("documents   %d, mean of their losses %.4f\n", r.Documents, r.DocumentLoss)
	}
	return fmt.Sprintf("loss        %.4f nats a token\nperplexity  %.3f\ntokens      %d (sequences of %d)\n%sparameters  %d\nspeed       %.0f tokens/s\n",
		r.Loss, r.Perplexity, r.Tokens, r.Context, documents, r.Params, r.TokensPerS)
}

func (r ImageResult) String() string {
	return fmt.Sprintf("top-1       %.2f %%\ntop-5       %.2f %%\nloss        %.4f nats an image\nimages      %d\nparameters  %d\nspeed       %.0f images/s\n",
		100*r.Top1, 100*r.Top5, r.Loss, r.Images, r.Params, r.ImagesPerS)
}

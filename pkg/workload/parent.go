package workload

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
)

// Parent as the path of a Source is text drawn from the model itself.
const Parent = "parent"

// Drawn says how much text is drawn from a model.
type Drawn struct {
	Tokens  int             // about; at least minDrawn
	Threads int             // 0 is one a core
	Cache   string          // folder where texts are kept; "" keeps none
	Stop    context.Context // ends the drawing; nil never does
}

// minDrawn is the least that calibration and a held-out part can be made of.
const minDrawn = 4096

// openParent draws texts from the model of a bundle, of its context at most, at temperature
// 1, until there are enough tokens. The same have been kept in the cache's folder.
func openParent(b *bundle.Bundle, s Source) (*Text, error) {
	begin, err := b.Begin()
	if err != nil {
		return nil, err
	}
	texts, err := s.draw(b, begin)
	if err != nil {
		return nil, err
	}
	all := data.Join(texts, len(begin))
	cut := all.Cut(s.Held)
	t := &Text{name: "text drawn from the model", training: all[:cut], validation: all[cut:], sum: all.Checksum(), entropy: math.NaN()}
	if s.Held == 0 {
		t.training, t.validation = all, all
	}
	return t, nil
}

// draw returns the texts, from the cache or new.
func (s Source) draw(b *bundle.Bundle, begin []int32) (texts [][]int32, err error) {
	want := max(minDrawn, s.Drawn.Tokens)
	o := infer.SampleOptions{Begin: [][]int32{begin}, Ends: b.TextEnds(), Sampler: infer.SamplerConfig{Temperature: 1, TopP: 1, Seed: s.Seed}}
	sum := sha256.New()
	for _, w := range b.Set.Words() {
		sum.Write(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(w))), 4*len(w)))
	}
	fmt.Fprintf(sum, "%d tokens, %+v, context %d", want, o, b.Model.Context())
	file := filepath.Join(s.Drawn.Cache, hex.EncodeToString(sum.Sum(nil))+".json")
	if text, err := os.ReadFile(file); err == nil && s.Drawn.Cache != "" && json.Unmarshal(text, &texts) == nil && count(texts) >= want {
		return texts, nil
	}
	decoder, ok := b.Model.(model.Decoder)
	if !ok {
		return nil, fault.Usage(fmt.Errorf("%s cannot generate text: give --data a text", b.Path))
	}
	pool := kernel.NewPool(s.Drawn.Threads)
	defer pool.Close()
	ctx := s.Drawn.Stop
	if ctx == nil {
		ctx = context.Background()
	}
	texts = nil
	for n := 0; n < want; { // as many texts at a time as would be enough, were they as long as can be
		o.First, o.Count = len(texts), max(1, (want-n)/b.Model.Context())
		err := infer.Sample(ctx, infer.Source{Model: decoder, Set: b.Set, Pool: pool, Never: b.Unused()}, o, func(t infer.Sampled) error {
			texts, n = append(texts, t.IDs), n+len(t.IDs)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if s.Drawn.Cache == "" {
		return texts, nil
	}
	text, err := json.Marshal(texts)
	if err == nil {
		err = os.MkdirAll(s.Drawn.Cache, 0o755)
	}
	if err == nil {
		err = checkpoint.WriteFile(file, text)
	}
	return texts, err
}

func count(texts [][]int32) (n int) {
	for _, t := range texts {
		n += len(t)
	}
	return n
}

// drawnDir is where texts that were drawn are kept: a folder of the user's cache directory,
// none where the system has none.
func drawnDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "ecospa", "drawn")
}

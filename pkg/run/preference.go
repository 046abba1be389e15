package run

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/train"
	"github.com/ecospa/ecospa/pkg/workload"
)

// text is the text that the run is about: of pairs of answers that of the chosen ones; nil
// for other workloads.
func (j *Job) text() *workload.Text {
	switch w := j.work.(type) {
	case *workload.Text:
		return w
	case *workload.Pairs:
		return w.Text
	}
	return nil
}

// prefer makes the loop learn from pairs of answers, where the run does.
func (j *Job) prefer() error {
	p, ok := j.work.(*workload.Pairs)
	if !ok {
		if j.cfg.Preference.Enabled() {
			return fault.Usage(fmt.Errorf("preference.loss is %s, which trains decoders of text; this run trains a %s", j.cfg.Preference.Loss, j.bundle.Model.Family()))
		}
		return nil
	}
	if n := j.Ranks.Size(); j.cfg.Train.Batch%(2*n) != 0 {
		return fault.Usage(fmt.Errorf("train.batch is %d sequences on %d ranks: expected a multiple of %d, because pairs are compared two sequences at a time", j.cfg.Train.Batch, n, 2*n))
	}
	if j.cfg.Train.MicroBatch%2 != 0 {
		return fault.Usage(fmt.Errorf("train.micro_batch is %d, expected an even number: pairs are compared two sequences at a time", j.cfg.Train.MicroBatch))
	}
	j.loop.Prefer(j.cfg.Preference)
	if j.cfg.Preference.Loss != train.DPO {
		return nil
	}
	training, validation := p.Fitted(j.cfg.Train.Context)
	if training.Reference != nil { // a rollback
		return nil
	}
	return j.refer(training, validation)
}

// refer measures the reference's log-likelihoods of both parts, or reads them where that has
// been done before: files of the cache are named by the reference's weights and the data.
func (j *Job) refer(parts ...*data.Pairs) error {
	path := j.cfg.Preference.Reference
	if path == "" {
		path = j.cfg.From
	}
	b, err := bundle.Open(path, bundle.Options{})
	if err != nil {
		return fmt.Errorf("preference.reference: %w", err)
	}
	defer b.Close()
	if err := j.sameInputs("preference.reference", path, b); err != nil {
		return err
	}
	if c := j.cfg.Train.Context; c > b.Model.Context() {
		return fault.Usage(fmt.Errorf("train.context is %d tokens, but the context of preference.reference %s is %d", c, path, b.Model.Context()))
	}
	model, err := train.WeightsSum(b.Model, b.Set)
	if err != nil {
		return err
	}
	dir := cacheDir(j.cfg.Data.Cache)
	for _, p := range parts {
		sum := p.Sum()
		key := sha256.Sum256(append(model[:], sum[:]...))
		file := filepath.Join(dir, hex.EncodeToString(key[:])+".reference")
		if p.Reference, err = readReference(file, 2*p.Len()); err == nil {
			j.tell(Note(fmt.Sprintf("reference log-likelihoods of %d pairs read from %s", p.Len(), file)))
			continue
		}
		if err := j.measure(b, p); err != nil {
			return err
		}
		if dir != "" && j.Ranks.lead() {
			if err := writeReference(file, p.Reference); err != nil {
				j.tell(Note(fmt.Sprintf("the reference log-likelihoods cannot be kept (%s): they will be measured again next time", oneLine(err))))
			}
		}
	}
	return nil
}

// measure fills in the log-likelihoods of pairs.
func (j *Job) measure(b *bundle.Bundle, p *data.Pairs) error {
	if p.Len() == 0 {
		p.Reference = []float64{}
		return nil
	}
	start, c := time.Now(), j.cfg.Train
	all, err := train.DocumentLikelihoods(b.Model, b.Set, j.pool, c.MicroBatch, c.Context, data.PairWindows(p, c.MicroBatch, c.Context, 0))
	if err != nil {
		return fmt.Errorf("preference.reference %s: %w", b.Path, err)
	}
	p.Reference = all
	j.tell(Note(fmt.Sprintf("reference log-likelihoods of %d pairs measured in %s", p.Len(), units.Clock(time.Since(start)))))
	return nil
}

const referenceMagic = "ecospa reference 1\n"

// readReference reads a file of the cache: magic, n log-likelihoods as little-endian float64,
// and the SHA-256 of both.
func readReference(path string, n int) ([]float64, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	head := len(referenceMagic)
	if st.Size() != int64(head+8*n+sha256.Size) {
		return nil, errors.New("another number of log-likelihoods")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	body := b[:len(b)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.HasPrefix(b, []byte(referenceMagic)) || !bytes.Equal(sum[:], b[len(body):]) {
		return nil, errors.New("damaged")
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(body[head+8*i:]))
	}
	return out, nil
}

func writeReference(path string, x []float64) error {
	b := []byte(referenceMagic)
	for _, v := range x {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	sum := sha256.Sum256(b)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return checkpoint.WriteFile(path, append(b, sum[:]...))
}

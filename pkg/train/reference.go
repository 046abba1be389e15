package train

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// DocumentLikelihoods is the log-likelihood, in nats, that a model gives what is predicted of
// each document (data.Batch.Documents, from 0 on). Batches are of `batch` packed sequences
// of context tokens.
func DocumentLikelihoods(m model.Model, set *param.Set, pool *kernel.Pool, batch, context int, batches iter.Seq2[data.Batch, error]) ([]float64, error) {
	machine, err := lower(m, set, pool, shape{batch: batch, context: context, documents: true})
	if err != nil {
		return nil, err
	}
	defer machine.Close()
	per := documents{}
	for b, err := range batches {
		if err != nil {
			return nil, err
		}
		if err := b.Feed(machine, 1); err != nil {
			return nil, err
		}
		if err := machine.RunAll(); err != nil {
			return nil, err
		}
		per.add(machine.Output("nll"), b)
	}
	out := make([]float64, len(per)/2)
	for d := range out {
		if out[d] = -per[2*d]; nonFinite(out[d]) {
			return nil, fmt.Errorf("train: the log-likelihood of document %d is %g", d, out[d])
		}
	}
	return out, nil
}

// WeightsSum is the SHA-256 of a model: its configuration and its weights.
func WeightsSum(m model.Model, set *param.Set) ([sha256.Size]byte, error) {
	arch, err := json.Marshal(m.Arch())
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	h := sha256.New()
	h.Write(arch)
	sum := weightsSum(set)
	h.Write(sum[:])
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// weightsSum is the SHA-256 of the weights, those of 16 bits as float32.
func weightsSum(set *param.Set) [sha256.Size]byte {
	h := sha256.New()
	var wide [4096]float32
	for _, b := range set.Blocks {
		w := b.Stored(set)
		h.Write(dist.Bytes(w.F32))
		h.Write(w.Q8)
		for bits := w.BF16; len(bits) > 0; {
			x := wide[:min(len(wide), len(bits))]
			kernel.FromBF16(x, bits)
			h.Write(dist.Bytes(x))
			bits = bits[len(x):]
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

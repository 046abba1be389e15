package recovery

import (
	"errors"
	"math"
)

// Judge measures a model on held-out batches, the same ones every time.
type Judge interface {
	Measure() (Held, error)
	Close() error
}

// Held is what a model does on held-out batches.
type Held struct {
	Loss float64 // nats a token
	// Positions is the loss of equal stretches of the context, from its beginning as far
	// as anything was predicted.
	Positions []float64
}

var errNothing = errors.New("recovery: the held-out text has no token to predict")

// of measures a model once.
func (s *Stage) of(n Net) (h Held, err error) {
	j, err := s.Held(n)
	if err != nil {
		return h, err
	}
	if h, err = j.Measure(); err == nil && math.IsNaN(h.Loss) {
		err = errNothing
	}
	return h, errors.Join(err, j.Close())
}

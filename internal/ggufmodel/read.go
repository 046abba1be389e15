package ggufmodel

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/internal/gguf"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Read reads the model in a GGUF file of one of model.Architectures, and the file's
// keys. kept is asked for the type in which matrices are kept in memory (see
// checkpoint.ReadWeightsAs). The caller closes the set.
func Read(path string, kept func(*gguf.File) param.DType) (model.Model, *param.Set, *gguf.File, error) {
	return open(path, func(f *gguf.File) (model.Model, *param.Set, error) { return Of(f, kept(f)) })
}

// Shapes is Read without weights: the set has no storage.
func Shapes(path string) (model.Model, *param.Set, *gguf.File, error) {
	return open(path, func(f *gguf.File) (model.Model, *param.Set, error) {
		h, m, err := describe(f)
		if err != nil {
			return nil, nil, err
		}
		layout, _, err := h.layout(m)
		if err == nil {
			err = m.Restore(layout)
		}
		return m, layout, err
	})
}

func open(path string, read func(*gguf.File) (model.Model, *param.Set, error)) (model.Model, *param.Set, *gguf.File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, nil, nil, err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return nil, nil, nil, err
	}
	f, err := gguf.Read(in, st.Size())
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	m, set, err := read(f)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, set, f, nil
}

// header reads keys of the file's architecture; its first error sticks.
type header struct {
	f    *gguf.File
	arch string
	err  error
}

// Fail implements model.Header.
func (h *header) Fail(key, expected string) {
	if h.err == nil {
		h.err = fmt.Errorf("%w: key %s.%s is %.60v, expected %s", gguf.ErrFormat, h.arch, key, fmt.Sprint(h.f.Keys[h.arch+"."+key]), expected)
	}
}

// Failed implements model.Header.
func (h *header) Failed() bool { return h.err != nil }

// Has implements model.Header.
func (h *header) Has(tensor string) bool {
	_, ok := h.f.Tensors[tensor]
	return ok
}

// Int implements model.Header.
func (h *header) Int(key string) int {
	if n, ok := integer(h.f.Keys[h.arch+"."+key]); ok {
		return n
	}
	h.Fail(key, "a positive number")
	return 1
}

func integer(v any) (int, bool) {
	switch n := v.(type) {
	case uint32:
		return int(n), n > 0 && n < 1<<31
	case int32:
		return int(n), n > 0
	}
	return 0, false
}

// IntOr implements model.Header.
func (h *header) IntOr(key string, or int) int {
	if _, ok := h.f.Keys[h.arch+"."+key]; !ok {
		return or
	}
	return h.Int(key)
}

// Float implements model.Header.
func (h *header) Float(key string) float64 {
	if x, ok := h.f.Keys[h.arch+"."+key].(float32); ok && x-x == 0 { // neither infinite nor NaN
		return float64(x)
	}
	h.Fail(key, "a finite float32")
	return 1
}

// FloatOr implements model.Header.
func (h *header) FloatOr(key string, or float64) float64 {
	if _, ok := h.f.Keys[h.arch+"."+key]; !ok {
		return or
	}
	return h.Float(key)
}

// StringOr implements model.Header.
func (h *header) StringOr(key, or string) string {
	v, ok := h.f.Keys[h.arch+"."+key]
	if !ok {
		return or
	}
	s, ok := v.(string)
	if !ok {
		h.Fail(key, "a text")
	}
	return s
}

// Bool implements model.Header.
func (h *header) Bool(key string) bool {
	x, ok := h.f.Keys[h.arch+"."+key].(bool)
	if !ok {
		h.Fail(key, "true or false")
	}
	return x
}

// Each is a key with one number for all layers, or one for each.
func (h *header) Each(key string, layers int) []int {
	out := make([]int, layers)
	switch v := h.f.Keys[h.arch+"."+key].(type) {
	case []int32:
		for i := range out {
			if len(v) != layers || v[i] < 1 {
				h.Fail(key, fmt.Sprintf("%d positive numbers", layers))
				break
			}
			out[i] = int(v[i])
		}
	case []uint32:
		for i := range out {
			if len(v) != layers || v[i] < 1 || v[i] > 1<<30 {
				h.Fail(key, fmt.Sprintf("%d positive numbers", layers))
				break
			}
			out[i] = int(v[i])
		}
	default:
		n := h.Int(key)
		for i := range out {
			out[i] = n
		}
	}
	return out
}

// Of is the model of a file as llama.cpp understands it: the scale of scores and the
// frequencies of rotation follow from the keys alone. Matrices are kept as t.
func Of(f *gguf.File, t param.DType) (model.Model, *param.Set, error) {
	h, m, err := describe(f)
	if err != nil {
		return nil, nil, err
	}
	return h.weights(m, t)
}

// describe makes the model that the keys describe.
func describe(f *gguf.File) (*header, model.Model, error) {
	h := &header{f: f}
	h.arch, _ = f.Keys["general.architecture"].(string)
	config, ok := model.FromGGUF(h.arch, h)
	if !ok {
		return nil, nil, fmt.Errorf("%w: general.architecture is %.60q, expected one of %s", gguf.ErrFormat, h.arch, strings.Join(model.Architectures(), ", "))
	}
	if h.err != nil {
		return nil, nil, h.err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, nil, err
	}
	m, err := model.Parse(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", gguf.ErrFormat, err)
	}
	return h, m, nil
}

// layout checks that the tensors are those of the model, before memory is taken for it.
func (h *header) layout(m model.Model) (*param.Set, []checkpoint.Tensor, error) {
	f := h.f
	layout, err := param.Layout(m.Specs())
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", gguf.ErrFormat, err)
	}
	tensors := m.Table().GGUFTensors(layout)
	rotation := map[string]bool{"rope_freqs.weight": true} // no parameters
	if g := m.Table().GGUF; g != nil && g.LongRope {
		rotation[model.LongFactors], rotation[model.ShortFactors] = true, true
	}
	want := maps.Clone(rotation)
	for _, t := range tensors {
		if _, ok := f.Tensors[t.Name]; !ok {
			return nil, nil, fmt.Errorf("%w: tensor %s is missing", gguf.ErrFormat, t.Name)
		}
		want[t.Name] = true
	}
	elements := 0
	for name, t := range f.Tensors {
		if !want[name] {
			return nil, nil, fmt.Errorf("%w: tensor %.80q is not expected", gguf.ErrFormat, name)
		}
		if !rotation[name] {
			elements += checkpoint.Stream{Shape: t.Shape}.Elements()
		}
	}
	if layout.Count() != elements {
		return nil, nil, fmt.Errorf("%w: the keys say %d parameters, the tensors have %d", gguf.ErrFormat, layout.Count(), elements)
	}
	return layout, tensors, nil
}

// weights reads the tensors of a model that the keys describe.
func (h *header) weights(m model.Model, as param.DType) (model.Model, *param.Set, error) {
	f := h.f
	_, tensors, err := h.layout(m)
	if err != nil {
		return nil, nil, err
	}
	set, err := param.New(m.Specs())
	if err != nil {
		return nil, nil, err
	}
	err = checkpoint.ReadStreams(set, tensors, as, func(name string, shape []int) (func([]float32, int) error, error) {
		if t := f.Tensors[name]; !slices.Equal(t.Shape, shape) {
			return nil, fmt.Errorf("%w: tensor %s has shape %v, expected %v", gguf.ErrFormat, name, t.Shape, shape)
		}
		return func(dst []float32, at int) error { return f.Rows(name, dst, at) }, nil
	})
	if err == nil {
		err = m.Restore(set)
	}
	if m.Arch().PlusOne { // GGUF has whole gains
		for _, p := range set.Params {
			if model.IsNorm(p.Role) {
				for i := range p.Data() {
					p.Data()[i]--
				}
			}
		}
	}
	if err != nil {
		set.Close()
		return nil, nil, err
	}
	return m, set, nil
}

// Factors implements model.Header.
func (h *header) Factors(tensor string, n int) []float64 {
	t, ok := h.f.Tensors[tensor]
	if !ok || h.err != nil {
		return nil
	}
	if !slices.Equal(t.Shape, []int{n}) {
		h.err = fmt.Errorf("%w: tensor %s has shape %v, expected [%d]", gguf.ErrFormat, tensor, t.Shape, n)
		return nil
	}
	x := make([]float32, n)
	h.err = h.f.Rows(tensor, x, 0)
	out := make([]float64, n)
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

package jinja

import (
	"errors"
	"fmt"
	"time"
)

// MaxSource bounds a template in bytes.
const MaxSource = 1 << 20

// Limits bound one rendering. A zero is the default.
type Limits struct {
	Steps int // expressions and statements evaluated, default 2,000,000
	Bytes int // of output and of every string and list made on the way, default 64 MiB
	Depth int // of calls and expressions, default 400
}

// ErrLimit is returned when a template asks for more than Limits allow.
var ErrLimit = errors.New("jinja: the template exceeds its limits")

// Template is a template that was read. It is safe for concurrent use.
type Template struct{ body []node }

// Span is a part of a rendered text, in bytes.
type Span struct{ From, To int }

// Parse reads a template.
func Parse(source string) (*Template, error) {
	if len(source) > MaxSource {
		return nil, fmt.Errorf("jinja: a template of %d bytes, expected at most %d", len(source), MaxSource)
	}
	segments, err := scan(source)
	if err == nil {
		b := &blockParser{segments: segments}
		var body []node
		if body, _, _, err = b.body(); err == nil {
			return &Template{body}, nil
		}
	}
	return nil, fmt.Errorf("jinja: %w", err)
}

// Result is what a rendering gives.
type Result struct {
	Text      string
	Generated []Span // what stood in {% generation %} blocks
}

// Render renders the template with values under their names; now is what
// strftime_now prints.
func (t *Template) Render(values map[string]any, now time.Time, limits Limits) (Result, error) {
	if limits.Steps == 0 {
		limits.Steps = 2_000_000
	}
	if limits.Bytes == 0 {
		limits.Bytes = 64 << 20
	}
	if limits.Depth == 0 {
		limits.Depth = 400
	}
	r := &run{limits: limits, now: now}
	top := &scope{values: map[string]any{}}
	for k, v := range globals {
		top.values[k] = v
	}
	for k, v := range values {
		top.values[k] = v
	}
	r.scope = &scope{values: map[string]any{}, up: top}
	if _, err := r.body(t.body); err != nil {
		return Result{}, fmt.Errorf("jinja: %w", err)
	}
	return Result{string(r.out), r.generated}, nil
}

// run is one rendering.
type run struct {
	limits    Limits
	now       time.Time
	scope     *scope
	out       []byte
	captures  int // blocks whose output is a value
	generated []Span
	steps     int
	bytes     int
	depth     int
}

// scope holds the names that are set in a loop, macro or with.
type scope struct {
	values map[string]any
	up     *scope
}

func (s *scope) get(name string) (any, bool) {
	for ; s != nil; s = s.up {
		if v, ok := s.values[name]; ok {
			return v, true
		}
	}
	return nil, false
}

// spend counts steps and bytes.
func (r *run) spend(steps, bytes int) error {
	if r.steps += steps; r.steps > r.limits.Steps {
		return fmt.Errorf("%w: more than %d steps", ErrLimit, r.limits.Steps)
	}
	if bytes < 0 || bytes > r.limits.Bytes-r.bytes {
		return fmt.Errorf("%w: more than %d bytes", ErrLimit, r.limits.Bytes)
	}
	r.bytes += bytes
	return nil
}

func (r *run) enter() error {
	if r.depth++; r.depth > r.limits.Depth {
		r.depth--
		return fmt.Errorf("%w: nested deeper than %d", ErrLimit, r.limits.Depth)
	}
	return nil
}

func (r *run) leave() { r.depth-- }

func (r *run) write(s string) error {
	if err := r.spend(1, len(s)); err != nil {
		return err
	}
	r.out = append(r.out, s...)
	return nil
}

// nested runs f in a new scope.
func (r *run) nested(up *scope, f func() error) error {
	old := r.scope
	r.scope = &scope{values: map[string]any{}, up: up}
	err := f()
	r.scope = old
	return err
}

// capture is what f writes.
func (r *run) capture(f func() error) (string, error) {
	old := r.out
	r.out = nil
	r.captures++
	err := f()
	r.captures--
	text := string(r.out)
	r.out = old
	return text, err
}

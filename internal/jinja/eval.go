package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// eval is the value of an expression.
func (r *run) eval(x expr) (any, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	if err := r.spend(1, 0); err != nil {
		return nil, err
	}
	switch x := x.(type) {
	case *constExpr:
		return x.v, nil
	case nameExpr:
		if v, ok := r.scope.get(string(x)); ok {
			return v, nil
		}
		return Undefined{string(x)}, nil
	case *listExpr:
		items, err := r.evalAll(x.items)
		return &List{items, x.tuple}, err
	case *dictExpr:
		return r.dict(x)
	case *unary:
		return r.unary(x)
	case *binary:
		return r.binary(x)
	case *compare:
		return r.compare(x)
	case *condExpr:
		v, err := r.eval(x.cond)
		switch {
		case err != nil:
			return nil, err
		case truth(v):
			return r.eval(x.then)
		case x.alt == nil:
			return Undefined{"the inline if-expression without else"}, nil
		}
		return r.eval(x.alt)
	case *callExpr:
		return r.call(x, nil)
	case *filterExpr:
		return r.evalFilter(x)
	case *testExpr:
		return r.evalTest(x)
	}
	return r.part(x)
}

// part is the value of an attribute, a subscript or a slice.
func (r *run) part(x expr) (any, error) {
	switch x := x.(type) {
	case *attrExpr:
		v, err := r.eval(x.x)
		if err != nil {
			return nil, err
		}
		return attribute(v, x.name, describe(x.x))
	case *indexExpr:
		v, err := r.eval(x.x)
		if err != nil {
			return nil, err
		}
		at, err := r.eval(x.at)
		if err != nil {
			return nil, err
		}
		return r.index(v, at, describe(x.x))
	case *sliceExpr:
		return r.slice(x)
	}
	return nil, fmt.Errorf("an expression of type %T", x)
}

func (r *run) evalAll(xs []expr) ([]any, error) {
	out := make([]any, 0, len(xs))
	for _, x := range xs {
		v, err := r.eval(x)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, r.spend(0, 16*len(xs))
}

func (r *run) dict(x *dictExpr) (any, error) {
	d := NewDict()
	for i := range x.keys {
		k, err := r.eval(x.keys[i])
		if err != nil {
			return nil, err
		}
		switch k.(type) {
		case string, int64, float64, bool, nil:
		default:
			return nil, fmt.Errorf("a key of type %s, expected a string", kind(k))
		}
		v, err := r.eval(x.values[i])
		if err != nil {
			return nil, err
		}
		d.Set(k, v)
	}
	return d, r.spend(0, 48*len(x.keys))
}

// describe names an expression in a message.
func describe(x expr) string {
	switch x := x.(type) {
	case nameExpr:
		return string(x)
	case *attrExpr:
		return describe(x.x) + "." + x.name
	}
	return "a value"
}

func (r *run) args(a args) (arguments, error) {
	var out arguments
	var err error
	if out.pos, err = r.evalAll(a.pos); err != nil {
		return out, err
	}
	out.names = append(out.names, a.names...)
	out.named, err = r.evalAll(a.named)
	return out, err
}

// call calls a function; caller is the body of a call block.
func (r *run) call(x *callExpr, caller any) (any, error) {
	f, err := r.eval(x.f)
	if err != nil {
		return nil, err
	}
	a, err := r.args(x.args)
	if err != nil {
		return nil, err
	}
	if caller != nil {
		a.names, a.named = append(a.names, "caller"), append(a.named, caller)
	}
	fn, ok := f.(function)
	if !ok {
		if u, ok := f.(Undefined); ok {
			return nil, fmt.Errorf("%.60q is undefined and is called", u.name)
		}
		return nil, fmt.Errorf("%.60s is called, which is no function but of type %s", describe(x.f), kind(f))
	}
	v, err := fn.call(r, a)
	if err != nil && !errors.Is(err, ErrLimit) {
		err = fmt.Errorf("%.40s: %w", fn.name, err)
	}
	return v, err
}

// raised is the error of raise_exception.
type raised string

func (e raised) Error() string { return "the template says: " + string(e) }

// items are the values that a loop runs over.
func (r *run) items(v any) ([]any, error) {
	switch v := v.(type) {
	case *List:
		return v.Items, r.spend(1, 0)
	case *Dict:
		return v.keys, r.spend(1, 0)
	case namespace:
		return nil, errors.New("a loop over a namespace")
	case string:
		if err := r.spend(1, 32*len(v)); err != nil {
			return nil, err
		}
		var out []any
		for _, c := range v {
			out = append(out, string(c))
		}
		return out, nil
	case Undefined:
		return nil, nil
	}
	return nil, fmt.Errorf("a loop over a value of type %s", kind(v))
}

// attribute is v.name: a method first, then a key.
func attribute(v any, name, what string) (any, error) {
	switch v := v.(type) {
	case Undefined:
		return nil, fmt.Errorf("%.60q is undefined and has no attribute %.40q", v.name, name)
	case namespace:
		if x, ok := v.Get(name); ok {
			return x, nil
		}
	case *loopState:
		if x, ok := v.attribute(name); ok {
			return x, nil
		}
	case *Dict:
		if m := dictMethods[name]; m != nil {
			return function{name, func(r *run, a arguments) (any, error) { return m(r, v, a) }}, nil
		}
		if x, ok := v.Get(name); ok {
			return x, nil
		}
	case string:
		if m := stringMethods[name]; m != nil {
			return function{name, func(r *run, a arguments) (any, error) { return m(r, v, a) }}, nil
		}
	case *List:
		if m := listMethods[name]; m != nil {
			return function{name, func(r *run, a arguments) (any, error) { return m(r, v, a) }}, nil
		}
	}
	return Undefined{what + "." + name}, nil
}

// index is v[at].
func (r *run) index(v, at any, what string) (any, error) {
	if s, ok := at.(string); ok {
		if d, ok := v.(*Dict); ok {
			if x, ok := d.Get(s); ok {
				return x, nil
			}
		}
		return attribute(v, s, what)
	}
	if u, ok := v.(Undefined); ok {
		return nil, fmt.Errorf("%.60q is undefined and is subscripted", u.name)
	}
	missing := Undefined{what + "[...]"}
	if d, ok := v.(*Dict); ok {
		if x, ok := d.Get(at); ok {
			return x, nil
		}
		return missing, nil
	}
	n, ok := at.(int64)
	if b, is := at.(bool); is {
		n, ok = map[bool]int64{true: 1}[b], true
	}
	var length int64
	var runes []rune
	switch v := v.(type) {
	case *List:
		length = int64(len(v.Items))
	case string:
		runes = []rune(v)
		if err := r.spend(1, 4*len(v)); err != nil {
			return nil, err
		}
		length = int64(len(runes))
	default:
		return missing, nil
	}
	if n < 0 {
		n += length
	}
	if !ok || n < 0 || n >= length {
		return missing, nil
	}
	if l, ok := v.(*List); ok {
		return l.Items[n], nil
	}
	return string(runes[n]), nil
}

// slice is x[from:to:by].
func (r *run) slice(x *sliceExpr) (any, error) {
	v, err := r.eval(x.x)
	if err != nil {
		return nil, err
	}
	var bounds [3]*int64
	for i, e := range []expr{x.from, x.to, x.by} {
		if e == nil {
			continue
		}
		b, err := r.eval(e)
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		n, ok := b.(int64)
		if !ok {
			return nil, fmt.Errorf("a slice with a bound of type %s", kind(b))
		}
		bounds[i] = &n
	}
	switch v := v.(type) {
	case *List:
		at, err := r.places(len(v.Items), bounds)
		out := &List{tuple: v.tuple}
		for _, i := range at {
			out.Items = append(out.Items, v.Items[i])
		}
		return out, err
	case string:
		runes := []rune(v)
		if err := r.spend(0, 4*len(runes)); err != nil {
			return nil, err
		}
		at, err := r.places(len(runes), bounds)
		var b strings.Builder
		for _, i := range at {
			b.WriteRune(runes[i])
		}
		return b.String(), err
	}
	return nil, fmt.Errorf("a slice of a value of type %s", kind(v))
}

// places are the positions of a slice of something of length n.
func (r *run) places(length int, bounds [3]*int64) ([]int, error) {
	n, by := int64(length), int64(1)
	if bounds[2] != nil {
		by = *bounds[2]
	}
	if by == 0 {
		return nil, errors.New("a slice with step 0")
	}
	from, to, low, high := int64(0), n, int64(0), n
	if by < 0 {
		from, to, low, high = n-1, -1, -1, n-1
	}
	clamp := func(b *int64, otherwise int64) int64 {
		if b == nil {
			return otherwise
		}
		v := *b
		if v < 0 {
			v = max(v+n, low)
		}
		return min(max(v, low), high)
	}
	from, to = clamp(bounds[0], from), clamp(bounds[1], to)
	var out []int
	for i := from; by > 0 && i < to || by < 0 && i > to; i += by {
		out = append(out, int(i))
		if by > n || by < -n {
			break
		}
	}
	return out, r.spend(len(out), 24*len(out))
}

package jinja

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

func filterFirst(r *run, v any, _ arguments) (any, error) {
	items, err := r.items(v)
	if err != nil || len(items) == 0 {
		return Undefined{"the first of an empty sequence"}, err
	}
	return items[0], nil
}

func filterLast(r *run, v any, _ arguments) (any, error) {
	items, err := r.items(v)
	if err != nil || len(items) == 0 {
		return Undefined{"the last of an empty sequence"}, err
	}
	return items[len(items)-1], nil
}

func filterList(r *run, v any, _ arguments) (any, error) {
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	return &List{Items: slices.Clone(items)}, r.spend(1, 16*len(items))
}

func filterReverse(r *run, v any, a arguments) (any, error) {
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	items = slices.Clone(items)
	slices.Reverse(items)
	out := &List{Items: items}
	if _, ok := v.(string); ok {
		return r.join(out, "")
	}
	return out, r.spend(1, 16*len(items))
}

func filterItems(r *run, v any, _ arguments) (any, error) {
	switch v := v.(type) {
	case *Dict:
		return r.pairs(v)
	case Undefined:
		return &List{}, nil
	}
	return nil, fmt.Errorf("a value of type %s, expected a dict", kind(v))
}

// sorted is items in the order of what key makes of them; cased says that capitals count.
func (r *run) sorted(items []any, key func(any) (any, error), cased, reverse bool) ([]any, error) {
	keys := make([]any, len(items))
	at := make([]int, len(items))
	for i, item := range items {
		k, err := key(item)
		if err != nil {
			return nil, err
		}
		if s, ok := k.(string); ok && !cased {
			k = strings.ToLower(s)
		}
		keys[i], at[i] = k, i
	}
	var failed error
	sort.SliceStable(at, func(i, j int) bool {
		if failed != nil {
			return false
		}
		c, err := r.order(keys[at[i]], keys[at[j]])
		if err == nil {
			err = r.spend(1, 0)
		}
		failed = err
		return c < 0 && !reverse || c > 0 && reverse
	})
	out := make([]any, len(items))
	for i, k := range at {
		out[i] = items[k]
	}
	if failed == nil {
		failed = r.spend(1, 40*len(items))
	}
	return out, failed
}

func filterSort(r *run, v any, a arguments) (any, error) {
	if err := a.check("sort", "reverse", "case_sensitive", "attribute"); err != nil {
		return nil, err
	}
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	name := a.get(2, "attribute", nil)
	out, err := r.sorted(items, func(v any) (any, error) { return r.attributePath(v, name) }, truth(a.get(1, "case_sensitive", false)), truth(a.get(0, "reverse", false)))
	return &List{Items: out}, err
}

func filterDictSort(r *run, v any, a arguments) (any, error) {
	d, ok := v.(*Dict)
	if !ok {
		return nil, fmt.Errorf("a value of type %s, expected a dict", kind(v))
	}
	pairs, err := r.pairs(d)
	if err != nil {
		return nil, err
	}
	at := 0
	if a.get(1, "by", "key") == "value" {
		at = 1
	}
	out, err := r.sorted(pairs.(*List).Items, func(v any) (any, error) { return v.(*List).Items[at], nil }, truth(a.get(0, "case_sensitive", false)), truth(a.get(2, "reverse", false)))
	return &List{Items: out}, err
}

func filterUnique(r *run, v any, a arguments) (any, error) {
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	out := &List{}
	name := a.get(1, "attribute", nil)
	var seen []any
	for _, item := range items {
		k, err := r.attributePath(item, name)
		if err != nil {
			return nil, err
		}
		if s, ok := k.(string); ok && !truth(a.get(0, "case_sensitive", false)) {
			k = strings.ToLower(s)
		}
		known, err := r.contains(&List{Items: seen}, k)
		if err != nil {
			return nil, err
		}
		if !known {
			seen, out.Items = append(seen, k), append(out.Items, item)
		}
	}
	return out, nil
}

// attributePath follows "a.b.0" from a value; nil is the value itself.
func (r *run) attributePath(v, path any) (any, error) { return r.attributeOr(v, path, nil) }

// attributeOr takes another value, which is not nil, for one that is undefined on the way.
func (r *run) attributeOr(v, path, otherwise any) (any, error) {
	switch p := path.(type) {
	case nil:
		return v, nil
	case int64:
		return r.index(v, p, "a value")
	case string:
		for _, name := range strings.Split(p, ".") {
			var at any = name
			if n, err := strconv.ParseInt(name, 10, 64); err == nil {
				at = n
			}
			var err error
			if v, err = r.index(v, at, "a value"); err != nil {
				return nil, err
			}
			if _, ok := v.(Undefined); ok && otherwise != nil {
				v = otherwise
			}
		}
		return v, r.spend(1, 0)
	}
	return nil, fmt.Errorf("an attribute of type %s, expected a string", kind(path))
}

// mapped is the attribute of each value, or a default where it is undefined.
func (r *run) mapped(v, name, otherwise any) (any, error) {
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	out := &List{}
	for _, item := range items {
		x, err := r.attributeOr(item, name, otherwise)
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, x)
	}
	return out, r.spend(len(items), 16*len(items))
}

func filterMap(r *run, v any, a arguments) (any, error) {
	if name := a.get(-1, "attribute", nil); name != nil {
		return r.mapped(v, name, a.get(-1, "default", nil))
	}
	if len(a.pos) == 0 {
		return nil, errors.New("expected the name of a filter or attribute=")
	}
	name, _ := a.pos[0].(string)
	f := filters[name]
	if f == nil {
		return nil, unsupported("filter", name)
	}
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	out := &List{}
	for _, item := range items {
		x, err := r.guarded(func() (any, error) { return f(r, item, arguments{a.pos[1:], a.names, a.named}) })
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, x)
	}
	return out, r.spend(len(items), 16*len(items))
}

// guarded counts a filter that calls a filter as a level of depth.
func (r *run) guarded(f func() (any, error)) (any, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	return f()
}

func filterSum(r *run, v any, a arguments) (any, error) {
	v, err := r.mapped(v, a.get(0, "attribute", nil), nil)
	if err != nil {
		return nil, err
	}
	sum := a.get(1, "start", int64(0))
	for _, item := range v.(*List).Items {
		if sum, err = r.arithmetic("+", sum, item); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

func filterExtreme(sign int) filterFunc {
	return func(r *run, v any, a arguments) (any, error) {
		items, err := r.items(v)
		if err != nil || len(items) == 0 {
			return Undefined{"the extreme of an empty sequence"}, err
		}
		name := a.get(1, "attribute", nil)
		out, err := r.sorted(items, func(v any) (any, error) { return r.attributePath(v, name) }, truth(a.get(0, "case_sensitive", false)), sign > 0)
		if err != nil {
			return nil, err
		}
		return out[0], nil
	}
}

// selecting keeps the values, or those with an attribute, for which a test holds.
func selecting(byAttribute, want bool) filterFunc {
	return func(r *run, v any, a arguments) (any, error) {
		items, err := r.items(v)
		if err != nil {
			return nil, err
		}
		var name any
		if byAttribute {
			if len(a.pos) == 0 {
				return nil, errors.New("expected an attribute")
			}
			name, a.pos = a.pos[0], a.pos[1:]
		}
		test := func(_ *run, v any, _ arguments) (bool, error) { return truth(v), nil }
		if len(a.pos) > 0 {
			known, _ := a.pos[0].(string)
			if op := map[string]string{"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}[known]; op != "" {
				known = op
			}
			if test = tests[known]; test == nil {
				return nil, unsupported("test", known)
			}
			a.pos = a.pos[1:]
		}
		out := &List{}
		for _, item := range items {
			x, err := r.attributePath(item, name)
			if err != nil {
				return nil, err
			}
			ok, err := test(r, x, a)
			if err != nil {
				return nil, err
			}
			if ok == want {
				out.Items = append(out.Items, item)
			}
		}
		return out, r.spend(len(items), 16*len(items))
	}
}

package jinja

import (
	"errors"
	"fmt"
)

// flow is how a body ended.
type flow byte

const (
	goesOn flow = iota
	breaks
	continues
)

// body runs statements.
func (r *run) body(nodes []node) (flow, error) {
	for _, n := range nodes {
		f, err := r.statement(n)
		if err != nil || f != goesOn {
			return f, err
		}
	}
	return goesOn, nil
}

func (r *run) statement(n node) (flow, error) {
	if err := r.enter(); err != nil {
		return goesOn, err
	}
	defer r.leave()
	switch n := n.(type) {
	case textNode:
		return goesOn, r.write(string(n))
	case *outputNode:
		v, err := r.eval(n.x)
		if err != nil {
			return goesOn, err
		}
		s, err := r.str(v)
		if err != nil {
			return goesOn, err
		}
		return goesOn, r.write(s)
	case *ifNode:
		v, err := r.eval(n.cond)
		if err != nil {
			return goesOn, err
		}
		if truth(v) {
			return r.body(n.then)
		}
		return r.body(n.alt)
	case *forNode:
		return r.loop(n)
	case breakNode:
		return breaks, nil
	case continueNode:
		return continues, nil
	}
	return goesOn, r.block(n)
}

// block runs the statements that never leave a loop.
func (r *run) block(n node) error {
	switch n := n.(type) {
	case *setNode:
		return r.set(n)
	case *macroNode:
		r.scope.values[n.name] = r.macro(n)
		return nil
	case *callNode:
		v, err := r.call(n.call, r.macro(n.body))
		if err != nil {
			return err
		}
		s, err := r.str(v)
		if err != nil {
			return err
		}
		return r.write(s)
	case *filterNode:
		v, err := r.filteredBody(n.body, n.filters)
		if err != nil {
			return err
		}
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("a filter block that gives a value of type %s, expected a string", kind(v))
		}
		return r.write(s)
	case *withNode:
		values := make([]any, len(n.values))
		for i, x := range n.values {
			var err error
			if values[i], err = r.eval(x); err != nil {
				return err
			}
		}
		return r.nested(r.scope, func() error {
			for i, name := range n.names {
				r.scope.values[name] = values[i]
			}
			_, err := r.body(n.body)
			return err
		})
	case *generationNode:
		from := len(r.out)
		_, err := r.body(n.body)
		if r.captures == 0 && len(r.out) > from {
			r.generated = append(r.generated, Span{from, len(r.out)})
		}
		return err
	}
	return fmt.Errorf("a statement of type %T", n)
}

// filteredBody is what a body writes, through filters.
func (r *run) filteredBody(body []node, all []filterCall) (any, error) {
	text, err := r.capture(func() error { _, err := r.body(body); return err })
	var v any = text
	for _, f := range all {
		if err == nil {
			v, err = r.filter(v, f)
		}
	}
	return v, err
}

func (r *run) set(n *setNode) error {
	var v any
	var err error
	if n.value != nil {
		v, err = r.eval(n.value)
	} else {
		v, err = r.filteredBody(n.body, n.filters)
	}
	if err != nil {
		return err
	}
	values := []any{v}
	if len(n.targets) > 1 {
		if values, err = r.items(v); err != nil {
			return err
		}
		if len(values) != len(n.targets) {
			return fmt.Errorf("%d values for %d names", len(values), len(n.targets))
		}
	}
	for i, target := range n.targets {
		switch t := target.(type) {
		case nameExpr:
			r.scope.values[string(t)] = values[i]
		case *attrExpr:
			o, err := r.eval(t.x)
			if err != nil {
				return err
			}
			ns, ok := o.(namespace)
			if !ok {
				return fmt.Errorf("attribute %.40q is set of something that is no namespace", t.name)
			}
			ns.Set(t.name, values[i])
		}
	}
	return nil
}

// macro makes the function that a macro is.
func (r *run) macro(n *macroNode) function {
	home := r.scope
	return function{n.name, func(r *run, a arguments) (any, error) {
		if len(a.pos) > len(n.params) {
			return nil, fmt.Errorf("macro %.40s takes %d arguments, got %d", n.name, len(n.params), len(a.pos))
		}
		var text string
		err := r.nested(home, func() error {
			if err := r.bind(n, a); err != nil {
				return err
			}
			var err error
			text, err = r.capture(func() error { _, err := r.body(n.body); return err })
			return err
		})
		return text, err
	}}
}

// bind gives a macro's parameters their values.
func (r *run) bind(n *macroNode, a arguments) error {
	left := map[string]any{}
	for i, name := range a.names {
		left[name] = a.named[i]
	}
	for i, name := range n.params {
		v, named := left[name]
		delete(left, name)
		switch k := i - (len(n.params) - len(n.given)); {
		case i < len(a.pos):
			v = a.pos[i]
		case named:
		case k >= 0:
			var err error
			if v, err = r.eval(n.given[k]); err != nil {
				return err
			}
		default:
			v = Undefined{name}
		}
		r.scope.values[name] = v
	}
	if v, ok := left["caller"]; ok {
		r.scope.values["caller"] = v
		delete(left, "caller")
	}
	for name := range left {
		return fmt.Errorf("macro %.40s takes no argument %.40q", n.name, name)
	}
	return nil
}

var errUnpack = errors.New("a loop over several names needs lists of as many values")

// loop runs a for.
func (r *run) loop(n *forNode) (flow, error) {
	v, err := r.eval(n.over)
	if err != nil {
		return goesOn, err
	}
	items, err := r.items(v)
	if err != nil {
		return goesOn, err
	}
	if n.cond != nil {
		if items, err = r.kept(n, items); err != nil {
			return goesOn, err
		}
	}
	if len(items) == 0 {
		return r.body(n.alt)
	}
	l := &loopState{items: items}
	outer := r.scope
	for l.at = range items {
		f := goesOn
		err := r.nested(outer, func() error {
			if err := r.assign(n.targets, items[l.at]); err != nil {
				return err
			}
			r.scope.values["loop"] = l
			var err error
			f, err = r.body(n.body)
			return err
		})
		if err != nil || f == breaks {
			return goesOn, err
		}
	}
	return goesOn, nil
}

// kept is the items for which the condition of a loop holds.
func (r *run) kept(n *forNode, items []any) ([]any, error) {
	var out []any
	for _, item := range items {
		err := r.nested(r.scope, func() error {
			if err := r.assign(n.targets, item); err != nil {
				return err
			}
			v, err := r.eval(n.cond)
			if truth(v) {
				out = append(out, item)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, r.spend(len(items), 16*len(items))
}

func (r *run) assign(targets []string, item any) error {
	if err := r.spend(1, 0); err != nil {
		return err
	}
	if len(targets) == 1 {
		r.scope.values[targets[0]] = item
		return nil
	}
	parts, err := r.items(item)
	if err != nil || len(parts) != len(targets) {
		return errUnpack
	}
	for i, name := range targets {
		r.scope.values[name] = parts[i]
	}
	return nil
}

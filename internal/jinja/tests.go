package jinja

import (
	"fmt"
	"strings"
)

// tests are what may stand behind "is".
var tests map[string]func(r *run, v any, a arguments) (bool, error)

func init() {
	is := func(f func(v any) bool) func(*run, any, arguments) (bool, error) {
		return func(_ *run, v any, a arguments) (bool, error) { return f(v), a.check("this test") }
	}
	ordered := func(op string) func(*run, any, arguments) (bool, error) {
		return func(r *run, v any, a arguments) (bool, error) {
			if len(a.pos) != 1 {
				return false, fmt.Errorf("expected one value to compare with")
			}
			return r.holds(op, v, a.pos[0])
		}
	}
	tests = map[string]func(*run, any, arguments) (bool, error){
		"defined":   is(func(v any) bool { _, no := v.(Undefined); return !no }),
		"undefined": is(func(v any) bool { _, yes := v.(Undefined); return yes }),
		"none":      is(func(v any) bool { return v == nil }),
		"string":    is(func(v any) bool { _, yes := v.(string); return yes }),
		"number":    is(func(v any) bool { return number(v) != nil }),
		"integer":   is(func(v any) bool { _, yes := v.(int64); return yes }),
		"float":     is(func(v any) bool { _, yes := v.(float64); return yes }),
		"boolean":   is(func(v any) bool { _, yes := v.(bool); return yes }),
		"true":      is(func(v any) bool { return v == true }),
		"false":     is(func(v any) bool { return v == false }),
		"mapping":   is(func(v any) bool { _, yes := v.(*Dict); return yes }),
		"sequence":  is(isSequence),
		"iterable":  is(isSequence),
		"callable":  is(func(v any) bool { _, yes := v.(function); return yes }),
		"lower":     is(func(v any) bool { s, ok := v.(string); return ok && s == strings.ToLower(s) && s != strings.ToUpper(s) }),
		"upper":     is(func(v any) bool { s, ok := v.(string); return ok && s == strings.ToUpper(s) && s != strings.ToLower(s) }),
		"odd":       is(func(v any) bool { n, ok := number(v).(int64); return ok && n%2 != 0 }),
		"even":      is(func(v any) bool { n, ok := number(v).(int64); return ok && n%2 == 0 }),
		"in":        ordered("in"), "eq": ordered("=="), "equalto": ordered("=="), "ne": ordered("!="),
		"lt": ordered("<"), "lessthan": ordered("<"), "le": ordered("<="), "gt": ordered(">"), "greaterthan": ordered(">"), "ge": ordered(">="),
		"divisibleby": divisibleBy,
		"sameas": func(r *run, v any, a arguments) (bool, error) {
			other := a.get(0, "other", Undefined{})
			same, err := r.equal(v, other)
			return same && kind(v) == kind(other), err
		},
	}
}

// isSequence is true of an undefined value as well, which Jinja2 takes for an empty one.
func isSequence(v any) bool {
	switch v.(type) {
	case string, *List, *Dict, Undefined:
		return true
	}
	return false
}

func divisibleBy(_ *run, v any, a arguments) (bool, error) {
	n, ok := number(v).(int64)
	m, okM := number(a.get(0, "num", nil)).(int64)
	if !ok || !okM || m == 0 {
		return false, fmt.Errorf("expected two integers, the second not 0")
	}
	return m == -1 || n%m == 0, nil
}

// evalTest evaluates x is test.
func (r *run) evalTest(x *testExpr) (any, error) {
	v, err := r.eval(x.x)
	if err != nil {
		return nil, err
	}
	a, err := r.args(x.args)
	if err != nil {
		return nil, err
	}
	test := tests[x.name]
	if test == nil {
		return nil, unsupported("test", x.name)
	}
	ok, err := test(r, v, a)
	if err != nil {
		return nil, fmt.Errorf("is %s: %w", x.name, err)
	}
	return ok != x.not, nil
}

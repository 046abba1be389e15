package jinja

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

func (r *run) unary(x *unary) (any, error) {
	v, err := r.eval(x.x)
	if err != nil {
		return nil, err
	}
	if x.op == "not" {
		return !truth(v), nil
	}
	switch n := number(v).(type) {
	case int64:
		if x.op == "-" {
			return -n, nil
		}
		return n, nil
	case float64:
		if x.op == "-" {
			return -n, nil
		}
		return n, nil
	}
	return nil, fmt.Errorf("%s of a value of type %s", x.op, kind(v))
}

// number is an int64 or a float64, nil for what is neither; True is 1.
func number(v any) any {
	switch v := v.(type) {
	case int64, float64:
		return v
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	}
	return nil
}

func (r *run) binary(x *binary) (any, error) {
	a, err := r.eval(x.a)
	if err != nil {
		return nil, err
	}
	switch x.op {
	case "and":
		if !truth(a) {
			return a, nil
		}
		return r.eval(x.b)
	case "or":
		if truth(a) {
			return a, nil
		}
		return r.eval(x.b)
	}
	b, err := r.eval(x.b)
	if err != nil {
		return nil, err
	}
	if x.op == "~" {
		s, err := r.str(a)
		if err != nil {
			return nil, err
		}
		t, err := r.str(b)
		if err != nil {
			return nil, err
		}
		return s + t, r.spend(0, len(s)+len(t))
	}
	return r.arithmetic(x.op, a, b)
}

func (r *run) arithmetic(op string, a, b any) (any, error) {
	m, n := number(a), number(b)
	if m != nil && n != nil {
		i, ok := m.(int64)
		j, okJ := n.(int64)
		if ok && okJ && op != "/" {
			return integers(op, i, j)
		}
		return floats(op, toFloat(m), toFloat(n))
	}
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok && op == "+" {
			return a + b, r.spend(0, len(a)+len(b))
		}
		if k, ok := n.(int64); ok && op == "*" {
			k = max(k, 0)
			if len(a) > 0 && k > int64(r.limits.Bytes/len(a)) {
				return nil, r.spend(0, r.limits.Bytes+1)
			}
			if err := r.spend(0, len(a)*int(k)); err != nil {
				return nil, err
			}
			return strings.Repeat(a, int(k)), nil
		}
	case *List:
		if b, ok := b.(*List); ok && op == "+" && a.tuple == b.tuple {
			if err := r.spend(0, 16*(len(a.Items)+len(b.Items))); err != nil {
				return nil, err
			}
			return &List{append(append([]any(nil), a.Items...), b.Items...), a.tuple}, nil
		}
	case Undefined:
		return nil, fmt.Errorf("%.60q is undefined and is an operand of %s", a.name, op)
	}
	if u, ok := b.(Undefined); ok {
		return nil, fmt.Errorf("%.60q is undefined and is an operand of %s", u.name, op)
	}
	return nil, fmt.Errorf("%s of values of type %s and %s", op, kind(a), kind(b))
}

func toFloat(v any) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return math.NaN()
}

var errOverflow = errors.New("an integer is too large")

func integers(op string, a, b int64) (any, error) {
	switch op {
	case "+":
		if c := a + b; (c > a) == (b > 0) {
			return c, nil
		}
	case "-":
		if c := a - b; (c < a) == (b > 0) {
			return c, nil
		}
	case "*":
		if a == 0 || b == 0 {
			return int64(0), nil
		}
		if c := a * b; c/b == a && !(a == -1 && b == math.MinInt64) && !(b == -1 && a == math.MinInt64) {
			return c, nil
		}
	case "//", "%":
		if b == 0 {
			return nil, errors.New("division by zero")
		}
		if b == -1 {
			if op == "%" {
				return int64(0), nil
			}
			return integers("-", 0, a)
		}
		q, m := a/b, a%b
		if m != 0 && (m < 0) != (b < 0) { // Python rounds down
			q, m = q-1, m+b
		}
		if op == "%" {
			return m, nil
		}
		return q, nil
	case "**":
		return power(a, b)
	}
	return nil, errOverflow
}

func power(a, b int64) (any, error) {
	switch {
	case b < 0:
		return math.Pow(float64(a), float64(b)), nil
	case b == 0:
		return int64(1), nil
	case a == 0 || a == 1 || a == -1 && b%2 == 1:
		return a, nil
	case a == -1:
		return int64(1), nil
	}
	out := a
	for ; b > 1; b-- { // overflows after 62 at most
		next, err := integers("*", out, a)
		if err != nil {
			return nil, err
		}
		out = next.(int64)
	}
	return out, nil
}

func floats(op string, a, b float64) (any, error) {
	switch op {
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	case "**":
		return math.Pow(a, b), nil
	}
	if b == 0 {
		return nil, errors.New("division by zero")
	}
	switch op {
	case "/":
		return a / b, nil
	case "//":
		return math.Floor(a / b), nil
	}
	m := math.Mod(a, b)
	if m != 0 && (m < 0) != (b < 0) {
		m += b
	}
	return m, nil
}

// compare evaluates a chain of comparisons.
func (r *run) compare(x *compare) (any, error) {
	a, err := r.eval(x.first)
	if err != nil {
		return nil, err
	}
	for i, op := range x.ops {
		b, err := r.eval(x.rest[i])
		if err != nil {
			return nil, err
		}
		ok, err := r.holds(op, a, b)
		if err != nil || !ok {
			return false, err
		}
		a = b
	}
	return true, nil
}

func (r *run) holds(op string, a, b any) (bool, error) {
	switch op {
	case "==", "!=":
		same, err := r.equal(a, b)
		return same == (op == "=="), err
	case "in", "not in":
		ok, err := r.contains(b, a)
		return ok == (op == "in"), err
	}
	c, err := r.order(a, b)
	if err != nil {
		return false, err
	}
	switch op {
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	}
	return c >= 0, nil
}

func (r *run) equal(a, b any) (bool, error) {
	if err := r.enter(); err != nil {
		return false, err
	}
	defer r.leave()
	if err := r.spend(1, 0); err != nil {
		return false, err
	}
	if m, n := number(a), number(b); m != nil && n != nil {
		i, ok := m.(int64)
		if j, okJ := n.(int64); ok && okJ {
			return i == j, nil
		}
		return toFloat(m) == toFloat(n), nil
	}
	switch a := a.(type) {
	case nil:
		return b == nil, nil
	case string:
		s, ok := b.(string)
		return ok && s == a, nil
	case Undefined:
		_, ok := b.(Undefined)
		return ok, nil
	case *List:
		l, ok := b.(*List)
		if !ok || len(l.Items) != len(a.Items) || l.tuple != a.tuple {
			return false, nil
		}
		for i := range a.Items {
			if same, err := r.equal(a.Items[i], l.Items[i]); err != nil || !same {
				return false, err
			}
		}
		return true, nil
	case *Dict:
		d, ok := b.(*Dict)
		if !ok || len(d.keys) != len(a.keys) {
			return false, nil
		}
		for _, k := range a.keys {
			v, ok := d.values[k]
			if !ok {
				return false, nil
			}
			if same, err := r.equal(a.values[k], v); err != nil || !same {
				return false, err
			}
		}
		return true, nil
	}
	return false, nil
}

// order is negative where a stands before b, positive where behind.
func (r *run) order(a, b any) (int, error) {
	if m, n := number(a), number(b); m != nil && n != nil {
		switch f, g := toFloat(m), toFloat(n); {
		case f < g:
			return -1, nil
		case f > g:
			return 1, nil
		}
		return 0, nil
	}
	if s, ok := a.(string); ok {
		if t, ok := b.(string); ok {
			return strings.Compare(s, t), r.spend(1, 0)
		}
	}
	if l, ok := a.(*List); ok {
		if m, ok := b.(*List); ok {
			for i := 0; i < len(l.Items) && i < len(m.Items); i++ {
				if err := r.spend(1, 0); err != nil {
					return 0, err
				}
				if same, err := r.equal(l.Items[i], m.Items[i]); err != nil || !same {
					if err != nil {
						return 0, err
					}
					return r.deeper(l.Items[i], m.Items[i])
				}
			}
			return len(l.Items) - len(m.Items), nil
		}
	}
	return 0, fmt.Errorf("values of type %s and %s have no order", kind(a), kind(b))
}

func (r *run) deeper(a, b any) (int, error) {
	if err := r.enter(); err != nil {
		return 0, err
	}
	defer r.leave()
	return r.order(a, b)
}

// contains is x in v.
func (r *run) contains(v, x any) (bool, error) {
	switch v := v.(type) {
	case string:
		s, ok := x.(string)
		if !ok {
			return false, fmt.Errorf("in of a string and a value of type %s", kind(x))
		}
		return strings.Contains(v, s), r.spend(1+len(v)/64, 0)
	case *Dict:
		_, ok := v.Get(x)
		return ok, nil
	case *List:
		for _, item := range v.Items {
			if same, err := r.equal(item, x); err != nil || same {
				return same, err
			}
		}
		return false, nil
	case Undefined:
		return false, nil
	}
	return false, fmt.Errorf("in of a value of type %s", kind(v))
}

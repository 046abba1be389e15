package jinja

import "slices"

// postfix reads attributes, subscripts and calls behind an expression.
func (p *exprParser) postfix(x expr) (expr, error) {
	for n := 0; ; n++ {
		if n > maxNesting {
			return nil, p.unexpected("a shorter expression")
		}
		var err error
		switch {
		case p.op("."):
			x, err = p.attribute(x)
		case p.op("["):
			x, err = p.subscript(x)
		case p.op("("):
			var a args
			a, err = p.arguments()
			x = &callExpr{x, a}
		default:
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *exprParser) attribute(x expr) (expr, error) {
	if t := p.peek(); t.kind == 'i' {
		at, err := p.primary()
		return &indexExpr{x, at}, err
	}
	name, err := p.name()
	return &attrExpr{x, name}, err
}

func (p *exprParser) subscript(x expr) (expr, error) {
	var parts [3]expr
	n := 0
	for ; n < 3; n++ {
		var err error
		if !p.is('o', ":") && !p.is('o', "]") {
			if parts[n], err = p.expr(); err != nil {
				return nil, err
			}
		}
		if !p.op(":") {
			break
		}
	}
	if n == 0 {
		if parts[0] == nil {
			return nil, p.unexpected("a subscript")
		}
		return &indexExpr{x, parts[0]}, p.expect("]")
	}
	return &sliceExpr{x, parts[0], parts[1], parts[2]}, p.expect("]")
}

// arguments reads what stands in a call up to its ).
func (p *exprParser) arguments() (args, error) {
	var a args
	for first := true; !p.op(")"); first = false {
		if !first {
			if err := p.expect(","); err != nil {
				return a, err
			}
			if p.op(")") {
				break
			}
		}
		if t := p.peek(); t.kind == 'n' && p.tokens[p.at+1] == (token{'o', "="}) {
			p.at += 2
			a.names = append(a.names, t.text)
			v, err := p.expr()
			if err != nil {
				return a, err
			}
			a.named = append(a.named, v)
			continue
		}
		if len(a.names) > 0 {
			return a, p.unexpected("name=value")
		}
		v, err := p.expr()
		if err != nil {
			return a, err
		}
		a.pos = append(a.pos, v)
	}
	return a, nil
}

// filtered reads filters and tests behind an expression.
func (p *exprParser) filtered(x expr) (expr, error) {
	for n := 0; ; n++ {
		if n > maxNesting {
			return nil, p.unexpected("a shorter expression")
		}
		var err error
		switch {
		case p.op("|"):
			p.at--
			var all []filterCall
			all, err = p.filters()
			for _, f := range all {
				x = &filterExpr{x, f}
			}
		case p.word("is"):
			x, err = p.test(x)
		case p.op("("):
			var a args
			a, err = p.arguments()
			x = &callExpr{x, a}
		default:
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// filters reads |name(...)|name.
func (p *exprParser) filters() ([]filterCall, error) {
	var all []filterCall
	for len(all) <= maxNesting && p.op("|") {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		f := filterCall{name: name}
		if p.op("(") {
			if f.args, err = p.arguments(); err != nil {
				return nil, err
			}
		}
		all = append(all, f)
	}
	return all, nil
}

// test reads what stands behind "is".
func (p *exprParser) test(x expr) (expr, error) {
	t := &testExpr{x: x, not: p.word("not")}
	var err error
	if t.name, err = p.name(); err != nil {
		return nil, err
	}
	follow := []string{"else", "or", "and", "is", "if", "in", "not"}
	switch next := p.peek(); {
	case p.op("("):
		t.args, err = p.arguments()
	case next.kind == 's' || next.kind == 'i' || next.kind == 'f' || next.kind == 'n' && !slices.Contains(follow, next.text) || next.kind == 'o' && (next.text == "[" || next.text == "{"):
		var a expr
		if a, err = p.primary(); err == nil {
			a, err = p.postfix(a)
		}
		t.args.pos = []expr{a}
	}
	return t, err
}

package jinja

import "errors"

func (b *blockParser) setBlock(p *exprParser) (node, error) {
	n := &setNode{}
	for {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		var target expr = nameExpr(name)
		if p.op(".") {
			field, err := p.name()
			if err != nil {
				return nil, err
			}
			target = &attrExpr{nameExpr(name), field}
		}
		if n.targets = append(n.targets, target); !p.op(",") {
			break
		}
	}
	var err error
	if p.op("=") {
		n.value, err = p.tupled()
		return n, done(p, err)
	}
	if len(n.targets) != 1 {
		return nil, p.unexpected("=")
	}
	if n.filters, err = p.filters(); err == nil {
		err = done(p, nil)
	}
	if err != nil {
		return nil, err
	}
	n.body, err = b.to("endset")
	return n, err
}

// macro reads a macro's parameters and body.
func (b *blockParser) macro(p *exprParser, name, end string) (*macroNode, error) {
	n := &macroNode{name: name}
	for first := true; !p.op(")"); first = false {
		if !first {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		param, err := p.name()
		if err != nil {
			return nil, err
		}
		n.params = append(n.params, param)
		if p.op("=") {
			v, err := p.expr()
			if err != nil {
				return nil, err
			}
			n.given = append(n.given, v)
		} else if len(n.given) > 0 {
			return nil, errors.New("a parameter without a default behind one with")
		}
	}
	return n, b.macroBody(n, p, end)
}

func (b *blockParser) macroBody(n *macroNode, p *exprParser, end string) error {
	if err := done(p, nil); err != nil {
		return err
	}
	loops := b.loops
	b.loops = 0
	var err error
	n.body, err = b.to(end)
	b.loops = loops
	return err
}

func (b *blockParser) macroBlock(p *exprParser) (node, error) {
	name, err := p.name()
	if err == nil {
		err = p.expect("(")
	}
	if err != nil {
		return nil, err
	}
	return b.macro(p, name, "endmacro")
}

func (b *blockParser) callBlock(p *exprParser) (node, error) {
	if p.op("(") {
		return nil, unsupported("statement", "call with parameters")
	}
	x, err := p.expr()
	if err != nil {
		return nil, err
	}
	call, ok := x.(*callExpr)
	if !ok {
		return nil, errors.New("call without a call")
	}
	n := &callNode{call, &macroNode{name: "caller"}}
	return n, b.macroBody(n.body, p, "endcall")
}

func (b *blockParser) filterBlock(p *exprParser) (node, error) {
	if t := p.peek(); t.kind == 'n' { // the first stands without its bar
		p.tokens = append([]token{{'o', "|"}}, p.tokens[p.at:]...)
		p.at = 0
	}
	all, err := p.filters()
	if err = done(p, err); err != nil {
		return nil, err
	}
	n := &filterNode{filters: all}
	n.body, err = b.to("endfilter")
	return n, err
}

func (b *blockParser) withBlock(p *exprParser) (node, error) {
	n := &withNode{}
	for p.peek().kind != 0 {
		if len(n.names) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		name, err := p.name()
		if err == nil {
			err = p.expect("=")
		}
		if err != nil {
			return nil, err
		}
		v, err := p.expr()
		if err != nil {
			return nil, err
		}
		n.names, n.values = append(n.names, name), append(n.values, v)
	}
	var err error
	n.body, err = b.to("endwith")
	return n, err
}

func (b *blockParser) generationBlock(p *exprParser) (node, error) {
	if err := done(p, nil); err != nil {
		return nil, err
	}
	body, err := b.to("endgeneration")
	return &generationNode{body}, err
}

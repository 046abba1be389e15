package jinja

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// maxNesting bounds expressions and blocks in depth.
const maxNesting = 100

// exprParser reads the expressions of a tag.
type exprParser struct {
	tokens []token
	at     int
	depth  int
}

func (p *exprParser) peek() token { return p.tokens[p.at] }

func (p *exprParser) next() token {
	t := p.tokens[p.at]
	if t.kind != 0 {
		p.at++
	}
	return t
}

func (p *exprParser) is(kind byte, text string) bool {
	t := p.peek()
	return t.kind == kind && t.text == text
}

func (p *exprParser) op(text string) bool {
	if p.is('o', text) {
		p.at++
		return true
	}
	return false
}

func (p *exprParser) word(text string) bool {
	if p.is('n', text) {
		p.at++
		return true
	}
	return false
}

func (p *exprParser) expect(op string) error {
	if p.op(op) {
		return nil
	}
	return p.unexpected(op)
}

func (p *exprParser) unexpected(want string) error {
	if t := p.peek(); t.kind != 0 {
		return fmt.Errorf("found %.30q, expected %s", t.text, want)
	}
	return fmt.Errorf("the tag ends, expected %s", want)
}

func (p *exprParser) name() (string, error) {
	if t := p.peek(); t.kind == 'n' {
		p.at++
		return t.text, nil
	}
	return "", p.unexpected("a name")
}

// tupled reads an expression, or several with commas between: a tuple.
func (p *exprParser) tupled() (expr, error) {
	x, err := p.expr()
	if err != nil || !p.is('o', ",") {
		return x, err
	}
	list := &listExpr{items: []expr{x}, tuple: true}
	for p.op(",") {
		if t := p.peek(); t.kind == 0 || t.kind == 'o' && t.text == ")" {
			break
		}
		if x, err = p.expr(); err != nil {
			return nil, err
		}
		list.items = append(list.items, x)
	}
	return list, nil
}

// expr reads a conditional expression.
func (p *exprParser) expr() (expr, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, errors.New("expressions nested too deep")
	}
	defer func() { p.depth-- }()
	x, err := p.or()
	for err == nil && p.word("if") {
		c := &condExpr{then: x}
		if c.cond, err = p.or(); err == nil && p.word("else") {
			c.alt, err = p.expr()
		}
		x = c
	}
	return x, err
}

// left reads operands of left-associative operators.
func (p *exprParser) left(operand func() (expr, error), ops ...string) (expr, error) {
	x, err := operand()
	for err == nil && p.peek().kind == 'o' && slices.Contains(ops, p.peek().text) {
		b := &binary{op: p.next().text, a: x}
		b.b, err = operand()
		x = b
	}
	return x, err
}

func (p *exprParser) or() (expr, error) {
	x, err := p.and()
	for err == nil && p.word("or") {
		b := &binary{op: "or", a: x}
		b.b, err = p.and()
		x = b
	}
	return x, err
}

func (p *exprParser) and() (expr, error) {
	x, err := p.not()
	for err == nil && p.word("and") {
		b := &binary{op: "and", a: x}
		b.b, err = p.not()
		x = b
	}
	return x, err
}

func (p *exprParser) not() (expr, error) {
	n := 0
	for p.word("not") {
		n++
	}
	x, err := p.comparison()
	for ; n > 0 && err == nil; n-- {
		x = &unary{"not", x}
	}
	return x, err
}

func (p *exprParser) comparison() (expr, error) {
	x, err := p.sum()
	var c *compare
	for err == nil {
		op := ""
		switch t := p.peek(); {
		case t.kind == 'o' && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.text), t.kind == 'n' && t.text == "in":
			op = p.next().text
		case t.kind == 'n' && t.text == "not" && p.tokens[p.at+1] == (token{'n', "in"}):
			op, p.at = "not in", p.at+2
		}
		if op == "" {
			break
		}
		if c == nil {
			c = &compare{first: x}
			x = c
		}
		var b expr
		b, err = p.sum()
		c.ops, c.rest = append(c.ops, op), append(c.rest, b)
	}
	return x, err
}

func (p *exprParser) sum() (expr, error)     { return p.left(p.concat, "+", "-") }
func (p *exprParser) concat() (expr, error)  { return p.left(p.product, "~") }
func (p *exprParser) product() (expr, error) { return p.left(p.power, "*", "/", "//", "%") }
func (p *exprParser) power() (expr, error) {
	return p.left(func() (expr, error) { return p.unary(true) }, "**")
}

func (p *exprParser) unary(filters bool) (expr, error) {
	var ops []string
	for p.is('o', "-") || p.is('o', "+") {
		ops = append(ops, p.next().text)
	}
	x, err := p.primary()
	if err == nil {
		x, err = p.postfix(x)
	}
	for i := len(ops) - 1; i >= 0; i-- {
		x = &unary{ops[i], x}
	}
	if err == nil && filters {
		x, err = p.filtered(x)
	}
	return x, err
}

func (p *exprParser) primary() (expr, error) {
	t := p.next()
	switch t.kind {
	case 'n':
		switch t.text {
		case "true", "True":
			return &constExpr{true}, nil
		case "false", "False":
			return &constExpr{false}, nil
		case "none", "None":
			return &constExpr{nil}, nil
		}
		return nameExpr(t.text), nil
	case 's':
		for p.peek().kind == 's' {
			t.text += p.next().text
		}
		return &constExpr{t.text}, nil
	case 'i':
		n, err := strconv.ParseInt(t.text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("number %.30s is too large", t.text)
		}
		return &constExpr{n}, nil
	case 'f':
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range is infinite
			return nil, err
		}
		return &constExpr{f}, nil
	case 'o':
		switch t.text {
		case "(":
			return p.parenthesis()
		case "[":
			items, err := p.items("]")
			return &listExpr{items: items}, err
		case "{":
			return p.dict()
		}
		p.at--
	}
	return nil, p.unexpected("an expression")
}

func (p *exprParser) parenthesis() (expr, error) {
	if p.op(")") {
		return &listExpr{tuple: true}, nil
	}
	x, err := p.tupled()
	if err == nil {
		err = p.expect(")")
	}
	return x, err
}

// items reads expressions up to a closing bracket.
func (p *exprParser) items(end string) ([]expr, error) {
	var out []expr
	for !p.op(end) {
		if len(out) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.op(end) {
				break
			}
		}
		x, err := p.expr()
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

func (p *exprParser) dict() (expr, error) {
	d := &dictExpr{}
	for !p.op("}") {
		if len(d.keys) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.op("}") {
				break
			}
		}
		k, err := p.expr()
		if err == nil {
			err = p.expect(":")
		}
		if err != nil {
			return nil, err
		}
		v, err := p.expr()
		if err != nil {
			return nil, err
		}
		d.keys, d.values = append(d.keys, k), append(d.values, v)
	}
	return d, nil
}

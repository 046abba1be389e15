package jinja

import (
	"errors"
	"fmt"
	"slices"
)

func unsupported(kind, name string) error { return fmt.Errorf("%s %.40q is not supported", kind, name) }

// lineError is an error and the innermost tag's line.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

// blockParser reads statements.
type blockParser struct {
	segments []segment
	at       int
	depth    int
	loops    int
}

// body reads nodes up to a statement with one of the names, whose tag's rest it returns.
func (b *blockParser) body(ends ...string) (nodes []node, name string, rest *exprParser, err error) {
	if b.depth++; b.depth > maxNesting {
		return nil, "", nil, errors.New("blocks nested too deep")
	}
	defer func() { b.depth-- }()
	for b.at < len(b.segments) {
		s := b.segments[b.at]
		b.at++
		if s.kind == 't' {
			nodes = append(nodes, textNode(s.text))
			continue
		}
		n, name, p, err := b.tag(s, ends)
		if err != nil {
			var at *lineError
			if !errors.As(err, &at) {
				err = &lineError{s.line, err}
			}
			return nil, "", nil, err
		}
		if n == nil {
			return nodes, name, p, nil
		}
		nodes = append(nodes, n)
	}
	if len(ends) > 0 {
		return nil, "", nil, fmt.Errorf("the template ends without %s", ends[len(ends)-1])
	}
	return nodes, "", nil, nil
}

// tag reads a tag. A nil node is the end of a body, by name.
func (b *blockParser) tag(s segment, ends []string) (node, string, *exprParser, error) {
	tokens, err := tokenize(s.text)
	if err != nil {
		return nil, "", nil, err
	}
	p := &exprParser{tokens: tokens}
	if s.kind == '{' {
		x, err := p.tupled()
		return &outputNode{x}, "", nil, done(p, err)
	}
	name, err := p.name()
	if err != nil {
		return nil, "", nil, err
	}
	if slices.Contains(ends, name) {
		return nil, name, p, nil
	}
	read := map[string]func(*exprParser) (node, error){
		"if": b.ifBlock, "for": b.forBlock, "set": b.setBlock, "macro": b.macroBlock, "call": b.callBlock,
		"filter": b.filterBlock, "with": b.withBlock, "generation": b.generationBlock, "break": b.loopWord(breakNode{}), "continue": b.loopWord(continueNode{}),
	}[name]
	if read == nil {
		return nil, "", nil, unsupported("statement", name)
	}
	n, err := read(p)
	return n, "", nil, err
}

// done reports what is left of a tag.
func done(p *exprParser, err error) error {
	if err == nil && p.peek().kind != 0 {
		err = p.unexpected("the end of the tag")
	}
	return err
}

// to reads a body up to its end, whose tag holds nothing else.
func (b *blockParser) to(end string) ([]node, error) {
	body, _, rest, err := b.body(end)
	if err != nil {
		return nil, err
	}
	if rest.peek().kind == 'n' { // {% endmacro name %}
		rest.at++
	}
	return body, done(rest, nil)
}

func (b *blockParser) ifBlock(p *exprParser) (node, error) {
	cond, err := p.tupled()
	if err = done(p, err); err != nil {
		return nil, err
	}
	n := &ifNode{cond: cond}
	body, name, rest, err := b.body("elif", "else", "endif")
	if err != nil {
		return nil, err
	}
	n.then = body
	switch name {
	case "elif":
		b.depth++
		alt, err := b.ifBlock(rest)
		b.depth--
		n.alt = []node{alt}
		return n, err
	case "else":
		if err := done(rest, nil); err != nil {
			return nil, err
		}
		n.alt, err = b.to("endif")
		return n, err
	}
	return n, done(rest, nil)
}

func (b *blockParser) forBlock(p *exprParser) (node, error) {
	n := &forNode{}
	paren := p.op("(")
	for {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		if n.targets = append(n.targets, name); !p.op(",") {
			break
		}
	}
	if paren {
		if err := p.expect(")"); err != nil {
			return nil, err
		}
	}
	if !p.word("in") {
		return nil, p.unexpected("in")
	}
	var err error
	if n.over, err = p.or(); err == nil && p.is('o', ",") {
		return nil, p.unexpected("one list")
	}
	if err == nil && p.word("if") {
		n.cond, err = p.expr()
	}
	if err == nil && p.is('n', "recursive") {
		err = unsupported("statement", "for ... recursive")
	}
	if err = done(p, err); err != nil {
		return nil, err
	}
	b.loops++
	body, name, rest, err := b.body("else", "endfor")
	b.loops--
	if err != nil {
		return nil, err
	}
	if n.body = body; name == "else" {
		n.alt, err = b.to("endfor")
		return n, err
	}
	return n, done(rest, nil)
}

func (b *blockParser) loopWord(n node) func(*exprParser) (node, error) {
	return func(p *exprParser) (node, error) {
		if b.loops == 0 {
			return nil, errors.New("break or continue outside of a loop")
		}
		return n, done(p, nil)
	}
}

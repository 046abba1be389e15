package jinja

// node is a statement or text.
type node interface{}

type (
	textNode   string
	outputNode struct{ x expr }
	ifNode     struct {
		cond      expr
		then, alt []node
	}
	forNode struct {
		targets    []string
		over, cond expr // cond may be nil
		body, alt  []node
	}
	setNode struct {
		targets []expr // names, or attributes of a namespace
		value   expr
		body    []node // of a block, without value
		filters []filterCall
	}
	macroNode struct {
		name   string
		params []string
		given  []expr // defaults of the last params
		body   []node
	}
	callNode struct {
		call *callExpr
		body *macroNode
	}
	filterNode struct {
		filters []filterCall
		body    []node
	}
	withNode struct {
		names  []string
		values []expr
		body   []node
	}
	generationNode struct{ body []node }
	breakNode      struct{}
	continueNode   struct{}
)

// expr is an expression.
type expr interface{}

type (
	constExpr struct{ v any }
	nameExpr  string
	listExpr  struct {
		items []expr
		tuple bool
	}
	dictExpr struct{ keys, values []expr }
	unary    struct {
		op string // "-", "+", "not"
		x  expr
	}
	binary struct {
		op   string
		a, b expr
	}
	compare struct {
		first expr
		ops   []string
		rest  []expr
	}
	condExpr struct{ then, cond, alt expr } // alt may be nil
	attrExpr struct {
		x    expr
		name string
	}
	indexExpr struct{ x, at expr }
	sliceExpr struct{ x, from, to, by expr } // each but x may be nil
	callExpr  struct {
		f    expr
		args args
	}
	filterExpr struct {
		x expr
		f filterCall
	}
	testExpr struct {
		x    expr
		name string
		args args
		not  bool
	}
)

// args are the arguments of a call as they are written.
type args struct {
	pos   []expr
	names []string
	named []expr
}

type filterCall struct {
	name string
	args args
}

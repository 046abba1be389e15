package graph

import "github.com/ecospa/ecospa/pkg/kernel"

// Call is an operation bound to its memory.
type Call struct {
	Pool       *kernel.Pool
	Out        []float32
	BF16       []uint16    // the output in place of Out (Op.Narrow)
	Rounded    bool        // the output is rounded to bfloat16, in Out too
	Rows, Cols int         // of Out: all but its last dimension, and the last
	Saved      [][]float32 // parts of what it saves (Op.Saves)
	Scratch    []float32   // Op.Scratch
	In         []Operand
	Add        bool // add to Out (Op.Adds)
	// Deposits has, for each operand, where its gradient is to be added during
	// this run; nil where nobody wants it.
	Deposits [][]float32
	Fresh    bool  // overwrite the first deposit
	Err      error // what went wrong in the last run
}

// Operand is one input of a call.
type Operand struct {
	F          []float32
	BF16       []uint16    // as bfloat16: in place of F, or of a parameter beside it
	Q8         []byte      // of a parameter: as blocks of bytes, in place of F
	Rows, Cols int         // of F: all but its last dimension, and the last
	Saved      [][]float32 // what the operation that made F saved
	IDs        []int32     // instead of F, for integer inputs
	value      *stockValue // beside F, for what Gorgonia's own operations made
}

// weights is a parameter as products read it.
func (o Operand) weights() kernel.Weights {
	switch {
	case o.Q8 != nil:
		return kernel.Weights{Q8: o.Q8}
	case o.BF16 != nil:
		return kernel.Weights{BF16: o.BF16}
	}
	return kernel.Weights{F32: o.F}
}

// stored is weights where they are in place of F, and nothing else.
func (o Operand) stored() (w kernel.Weights) {
	if o.F == nil {
		w = o.weights()
	}
	return w
}

// rows is the values as they are stored.
func (o Operand) rows() kernel.Rows {
	if o.F != nil {
		return kernel.Rows{F32: o.F}
	}
	return kernel.Rows{BF16: o.BF16}
}

func (o Operand) mat() kernel.Matrix {
	r := o.rows()
	return kernel.Matrix{Data: r.F32, BF16: r.BF16, Rows: o.Rows, Cols: o.Cols, Stride: o.Cols}
}

// out is where the output's values go.
func (c *Call) out() kernel.Rows { return kernel.Rows{F32: c.Out, BF16: c.BF16, Rounded: c.Rounded} }

func (c *Call) mat() kernel.Matrix { return kernel.Mat(c.Out, c.Rows, c.Cols) }

package graph

import "github.com/ecospa/ecospa/pkg/kernel"

// Call is an operation bound to its memory.
type Call struct {
	Pool       *kernel.Pool
	Out        []float32
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
	BF16       []uint16    // of a parameter: its bfloat16 copy, if there is one
	Rows, Cols int         // of F: all but its last dimension, and the last
	Saved      [][]float32 // what the operation that made F saved
	IDs        []int32     // instead of F, for integer inputs
	value      *stockValue // beside F, for what Gorgonia's own operations made
}

func (o Operand) mat() kernel.Matrix { return kernel.Mat(o.F, o.Rows, o.Cols) }

func (c *Call) mat() kernel.Matrix { return kernel.Mat(c.Out, c.Rows, c.Cols) }

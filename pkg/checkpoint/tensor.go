package checkpoint

// Tensor says how one tensor of a file is made of parameters: each part is a
// parameter with its dimensions permuted, and the parts are joined along Axis.
type Tensor struct {
	Name    string
	Aliases []string // other names under which files carry it
	Parts   []Part
	Axis    int // along which parts are joined, in the file's shape
	// Rank is the number of dimensions in the file. 0 keeps the parameter's own;
	// otherwise a part's leading and trailing dimensions are merged: with Rank 2
	// and Axis 0 the last permuted dimension is the tensor's second, with Axis 1
	// the first permuted dimension is its first; with Rank 1 all are merged.
	Rank int
}

// Part is one parameter of a Tensor.
type Part struct {
	Param string
	Perm  []int // order of the parameter's dimensions in the file; nil is their own
}

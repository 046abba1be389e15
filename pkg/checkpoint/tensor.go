package checkpoint

// Tensor says how one tensor of a file is made of parameters: each part is a
// parameter with its dimensions permuted, and the parts are joined along Axis.
//
// The rows of a llama's q_proj, [H·D, E] in the file, are one part: parameter q
// [kv, group, pair, 2, embed] with Perm 0 1 3 2 4 turns adjacent rotation pairs
// into the two halves that Hugging Face keeps. GPT-2's c_attn.weight, [E, 3·E]
// in the file, is q, k and v, each with embed permuted to the front, Axis 1.
type Tensor struct {
	Name    string
	Aliases []string // other names under which files carry it
	Parts   []Part
	Axis    int // along which parts are joined, in the file's shape; default 0
	// Rank is the number of dimensions in the file. 0 keeps the parameter's own;
	// otherwise a part's leading and trailing dimensions are merged: with Rank 2
	// and Axis 0 the last permuted dimension is the tensor's second, with Axis 1
	// the first permuted dimension is its first; with Rank 1 all are merged.
	Rank int
	// Shape is the file's shape where Rank cannot say it: dimensions of one
	// element, or one dimension of a parameter that is several in the file. Its
	// elements are those of the parts, in the same order. nil goes by Rank.
	Shape []int
	// Optional tensors may be missing from a file that is read; their parameters
	// then keep what they hold. They are always written.
	Optional bool
}

// Part is one parameter of a Tensor.
type Part struct {
	Param string
	Perm  []int // order of the parameter's dimensions in the file; nil is their own
}

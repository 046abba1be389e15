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
	// Heads joins the parts head by head: the file has so many blocks, each of the
	// first head of every part side by side, and so on. A part's outermost dimensions
	// are the heads. 0 joins along Axis; only Axis 0 can be joined by heads.
	Heads int
	// Other is how a tensor of another shape than expected becomes the expected one: what makes
	// its elements, in order, of the file's; nil for shapes of which there is none. The file then
	// is read whole. nil refuses every other shape.
	Other func(shape []int64) func(values []float32) []float32
	// Optional tensors may be missing from a file that is read; their parameters
	// then keep what they hold. They are always written.
	Optional bool
	// IfMissing is what a reader is told of files that have all but this tensor; "" for nothing.
	IfMissing string
}

// Part is one parameter of a Tensor.
type Part struct {
	Param string
	Perm  []int // order of the parameter's dimensions in the file; nil is their own
	// Split lays each head out in two: of dimension At (of the parameter), whose indices
	// are pairs and which dimension At+1 of two elements follows, the first Split pairs
	// as Perm would have it with both dimensions exchanged (first elements of all pairs,
	// then second ones), the others in Perm's own order. The heads are the dimensions
	// before At. 0 does not split.
	Split, At int
}

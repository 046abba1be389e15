package data

// Join makes one sequence of every n neighbouring ones, in which each stays a document of
// its own. The result is packed. It must not be changed.
func (b Batch) Join(n int) Batch {
	each := len(b.IDs) / b.N // tokens of a sequence
	out := Batch{N: b.N / n, IDs: b.IDs, Targets: b.Targets, Starts: make([]int32, len(b.IDs)), Positions: make([]int32, len(b.IDs))}
	for i := range out.Starts {
		at, before := i%each, i/each%n*each // of its sequence, and of those joined before it
		start, position := 0, at
		if b.Starts != nil {
			start, position = int(b.Starts[i]), int(b.Positions[i])
		}
		if start += before; b.Starts != nil && int(b.Starts[i]) == each { // padding
			start = n * each
		}
		out.Starts[i], out.Positions[i] = int32(start), int32(position)
	}
	return out
}

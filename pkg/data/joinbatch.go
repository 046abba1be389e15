package data

// Join makes one sequence of every n neighbouring ones, in which each stays a document of
// its own. The result is packed. Padding behind the last one stays padding; padding between
// two becomes a document in which nothing is predicted, for starts never fall. The result
// must not be changed.
func (b Batch) Join(n int) Batch {
	each := len(b.IDs) / b.N // tokens of a sequence
	out := Batch{N: b.N / n, IDs: b.IDs, Targets: b.Targets, Starts: make([]int32, len(b.IDs)), Positions: make([]int32, len(b.IDs))}
	for i := range out.Starts {
		at, before := i%each, i/each%n*each // of its sequence, and of those joined before it
		start, position := 0, at
		if b.Starts != nil {
			start, position = int(b.Starts[i]), int(b.Positions[i])
		}
		if b.Starts != nil && start == each { // padding
			switch last := i/each%n == n-1; {
			case last:
				start = n*each - before
			case at == 0 || int(b.Starts[i-1]) < each: // it begins
				start = at
			default:
				start = int(out.Starts[i-1]) - before
			}
			position = at - min(start, at)
		}
		start += before
		out.Starts[i], out.Positions[i] = int32(start), int32(position)
	}
	return out
}

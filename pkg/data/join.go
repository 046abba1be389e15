package data

// Join makes documents of token ids the tokens of a text. The first given ids of each, one
// at least, are read and not predicted.
func Join(documents [][]int32, given int) Tokens {
	var out Tokens
	for _, d := range documents {
		for i, id := range d {
			if i < max(1, given) {
				id = ^id
			}
			if i == 0 {
				id ^= begins
			}
			out = append(out, id)
		}
	}
	return out
}

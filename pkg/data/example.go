package data

// Example is a document as it is learned.
type Example struct {
	IDs     []int32
	Learned []bool // whether a token is predicted
}

// Examples are the first n documents; of a stream, which has none, its first tokens, at
// most `most` of them.
func (t Tokens) Examples(n, most int) []Example {
	var out []Example
	for lo := 0; lo < len(t) && len(out) < n; {
		hi := lo + 1
		for hi < len(t) && !isBegin(t[hi]) {
			hi++
		}
		if !t.Separate() {
			hi = min(lo+most, len(t))
		}
		e := Example{IDs: t.IDs(lo, hi), Learned: make([]bool, hi-lo)}
		for i := range e.Learned {
			e.Learned[i] = t[lo+i] >= 0 && (lo+i > 0 && i > 0)
		}
		out, lo = append(out, e), hi
	}
	return out
}

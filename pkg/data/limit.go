package data

// What happens to a document of more than Config.MaxLength tokens: see Config.Overflow.
const (
	Split    = "split"
	Truncate = "truncate"
	Drop     = "drop"
)

// Limited says what Limit did.
type Limited struct {
	Documents int // that were too long
	Tokens    int // of them that were left out
}

// Limit is the documents of t, of which none reads more than most tokens. Longer ones lose
// the beginning of their prompt first, and what is then too long is cut into documents of
// their own (Split), loses its end (Truncate), or all of it is left out (Drop).
func (t Tokens) Limit(most int, overflow string) (out Tokens, l Limited) {
	cutBefore := false // the document before has lost its end
	for lo, hi := 0, 0; lo < len(t); lo = hi {
		for hi = lo + 1; hi < len(t) && !isBegin(t[hi]); {
			hi++
		}
		reads := hi - lo - 1
		if hi < len(t) && t[hi] >= 0 { // its last target begins the next document
			reads++
		}
		d, lost := t[lo:hi], false
		if reads > most {
			l.Documents++
			d, lost = d.limited(reads, most, overflow)
			l.Tokens += hi - lo - len(d)
		}
		at := len(out)
		if out = append(out, d...); at < len(out) {
			if cutBefore && out[at] >= 0 { // it is not what came after that end
				out[at] = ^out[at]
			}
			cutBefore = lost
		}
	}
	return out, l
}

// limited is a document that reads too many tokens as Limit leaves it, and whether its end
// is lost.
func (t Tokens) limited(reads, most int, overflow string) (out Tokens, lost bool) {
	if overflow == Drop {
		return nil, false
	}
	prompt := 0 // tokens that may go: one stays that leads to what is learned
	for prompt+1 < len(t) && t[prompt+1] < 0 {
		prompt++
	}
	cut := min(reads-most, prompt)
	out = append(out, t[cut:]...)
	if cut > 0 {
		out[0] ^= begins
	}
	reads -= cut
	if overflow == Truncate && reads > most {
		return out[:most+1], true
	}
	for at := most; at < reads && at < len(out); at += most {
		out[at] ^= begins
	}
	return out, false
}

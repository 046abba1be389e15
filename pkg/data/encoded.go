package data

// Encoded is an encoded text: Tokens in memory, or Shards on disk.
type Encoded interface {
	// Len is the number of tokens.
	Len() int
	// Separate reports whether documents are told apart: then sequences are packed of
	// whole documents, else the tokens are one stream.
	Separate() bool
	// Documents is the number of documents; 1 for a stream.
	Documents() int
	// Checksum tells texts apart.
	Checksum() uint32
	// Below names the first token that a vocabulary of so many ids does not have.
	Below(vocab int) error
	// Read gives the tokens from at on, as Tokens has them.
	Read(dst Tokens, at int) error

	// predicted is the number of tokens in at+1..at+n that are predicted.
	predicted(at, n int) (int, error)
	// groups is the number of groups of documents that are packed together, and pieces
	// those of a group, at most limit tokens predicted in them (0: all).
	groups() int
	pieces(group, context, limit int) ([]piece, Packing, error)
}

// Divisible is an encoded text that can be cut.
type Divisible interface {
	Encoded
	// Part is tokens lo to hi, and Cut where the text is cut to hold out its last share:
	// at the beginning of a document, or anywhere in a stream.
	Part(lo, hi int) Encoded
	Cut(share float64) int
}

// Len implements Encoded.
func (t Tokens) Len() int { return len(t) }

// Part implements Encoded.
func (t Tokens) Part(lo, hi int) Encoded { return t[lo:hi] }

// Read implements Encoded.
func (t Tokens) Read(dst Tokens, at int) error {
	copy(dst, t[at:at+len(dst)])
	return nil
}

func (t Tokens) predicted(at, n int) (int, error) { return t[at+1 : at+1+n].Predicted(), nil }

func (t Tokens) groups() int { return 1 }

func (t Tokens) pieces(_, context, limit int) ([]piece, Packing, error) {
	out, p := t.allPieces(context, limit)
	return out, p, nil
}

// IDs is the ids of tokens lo to hi.
func IDs(t Encoded, lo, hi int) ([]int32, error) {
	out := make(Tokens, hi-lo)
	err := t.Read(out, lo)
	for i, id := range out {
		out[i] = plain(id)
	}
	return out, err
}

// fill takes len(ids) tokens of t from at on, and the ones after each as targets, -1
// where they are not to be predicted.
func fill(t Encoded, ids, targets []int32, at int) error {
	if m, ok := t.(Tokens); ok {
		m.fill(ids, targets, at)
		return nil
	}
	buf := make(Tokens, len(ids)+1)
	if err := t.Read(buf, at); err != nil {
		return err
	}
	buf.fill(ids, targets, 0)
	return nil
}

// PackingOf says how the documents of t are packed into sequences of context tokens, the
// groups in order; of a stream how it is cut.
func PackingOf(t Encoded, context int) (Packing, error) {
	if !t.Separate() {
		n := max(0, t.Len()-1)
		return Packing{Documents: 1, Sequences: (n + context - 1) / context, Learned: n, Read: n, Longest: n}, nil
	}
	var all Packing
	for g := range t.groups() {
		pieces, p, err := t.pieces(g, context, 0)
		if err != nil {
			return all, err
		}
		all.Sequences += len(pack(pieces, context, nil))
		all.Documents, all.Cut = all.Documents+p.Documents, all.Cut+p.Cut
		all.Learned, all.Read, all.Longest = all.Learned+p.Learned, all.Read+p.Read, max(all.Longest, p.Longest)
	}
	return all, nil
}

// Examples are the first n documents of t; of a stream, which has none, its first tokens,
// at most `most` of them.
func Examples(t Encoded, n, most int) ([]Example, error) {
	if m, ok := t.(Tokens); ok {
		return m.Examples(n, most), nil
	}
	if m, ok := t.(*Mixture); ok {
		var out []Example
		for i, p := range m.Parts { // n in all, as many of each as of the others
			e, err := Examples(p, (n+len(m.Parts)-1-i)/len(m.Parts), most)
			if err != nil {
				return nil, err
			}
			out = append(out, e...)
		}
		return out, nil
	}
	s := t.(*Shards)
	front := make(Tokens, s.endOf(n, most))
	err := s.Read(front, 0)
	return front.Examples(n, most), err
}

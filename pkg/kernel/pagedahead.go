package kernel

// A page of one head is too short a stretch for a processor to read ahead by itself. While few queries are
// multiplied by the keys and values of one, those of the next are fetched, a part at a time: more at once
// would wait for each other, and the multiplications for them.

// pageAhead is the keys and values that are fetched.
type pageAhead struct {
	k, v []float32
	part int // that comes next, of pageParts: the first half of them are keys
}

// pageParts is in how many parts a page is fetched, and dotsKeys how many keys are multiplied between two of
// them: the least that changes no order in which values are added up.
const pageParts, dotsKeys = 8, 4

// later is what comes after a page of a K/V head of a span: its keys from k0 on, before end, or the page that begins
// at first of the head that the worker takes next where workers take turns.
func (a *pagedArgs) later(sp *Span, g, first, k0, end int) (next pageAhead) {
	s := &a.s
	if current.fetch == nil {
		return next
	}
	if k0 >= end {
		if k0, g = first, g+a.p.threads; g >= s.G {
			return next
		}
	}
	at, n := (int(sp.Pages[k0/a.page])*s.G+g)*a.page, min(a.page, end-k0)
	return pageAhead{k: a.k[at*s.QK:][:n*s.QK], v: a.v[at*s.VO:][:n*s.VO]}
}

// fetch has the next n parts read.
func (p *pageAhead) fetch(n int) {
	if p.k == nil {
		return
	}
	for ; n > 0 && p.part < pageParts; n-- {
		x := p.k
		if p.part >= pageParts/2 {
			x = p.v
		}
		size := ceil(len(x), pageParts/2)
		if at := p.part % (pageParts / 2) * size; at < len(x) {
			current.fetch(&x[at], ceil(size, 16))
		}
		p.part++
	}
}

package infer

import "slices"

// PageTokens is the number of tokens whose keys and values one page of the
// key/value arena holds.
const PageTokens = 64

// page is one page of the arena and a node of the prefix tree: its tokens follow
// those of its parent. A page belongs to the sequence that fills it until it is
// full; then others may share it. Tokens that are in it never change, so anyone may
// copy a beginning of it.
type page struct {
	id       int32   // place in the arena
	tokens   []int32 // at most PageTokens, keys and values of all of them computed
	scores   []score // by token: what the model said of it
	long     bool    // of a text that turns as a long one: see engine.longAfter
	parent   *page   // nil for the root
	children []*page
	users    int   // sequences that read or fill it
	used     int64 // clock of the last use
}

// score is the log-probability of a token after those before it, and the most
// likely alternatives; known says whether it was computed.
type score struct {
	known   bool
	logprob float32
	top     []Candidate
}

// pageTree owns the pages of the arena: those in use, those kept because another
// request may begin with the same tokens, and the free ones.
type pageTree struct {
	root  page
	free  []int32
	clock int64
	all   int // pages of the arena
	idle  int // pages in the tree that no sequence uses
}

func newPageTree(pages int) *pageTree {
	t := &pageTree{all: pages}
	for id := pages - 1; id >= 0; id-- {
		t.free = append(t.free, int32(id))
	}
	return t
}

// available is the number of pages that can be taken: free ones, and those kept
// for nobody in particular.
func (t *pageTree) available() int { return len(t.free) + t.idle }

// match is the longest known beginning of tokens: whole pages to share, and a
// page of which the first partial tokens can be copied (nil for none). Tokens are
// matched only while accept says that what is known of token i is enough.
type match struct {
	whole   []*page
	from    *page
	partial int
}

func (m match) tokens() int { return len(m.whole)*PageTokens + m.partial }

// lessOne leaves the last token out, for a request that wants the logits behind it.
func (m match) lessOne() match {
	switch {
	case m.partial > 0:
		m.partial--
	case len(m.whole) > 0:
		n := len(m.whole) - 1
		m.whole, m.from, m.partial = m.whole[:n], m.whole[n], PageTokens-1
	}
	return m
}

func (t *pageTree) find(tokens []int32, long bool, accept func(i int, s score) bool) match {
	var m match
	at, i := &t.root, 0
	for {
		best, n := (*page)(nil), 0
		for _, c := range at.children {
			k := 0
			for c.long == long && k < len(c.tokens) && i+k < len(tokens) && c.tokens[k] == tokens[i+k] && accept(i+k, c.scores[k]) {
				k++
			}
			if k > n {
				best, n = c, k
			}
		}
		if n < PageTokens {
			m.from, m.partial = best, n
			return m
		}
		m.whole = append(m.whole, best)
		at, i = best, i+PageTokens
	}
}

// take gives p, and with it the way to it, one more user.
func (t *pageTree) take(p *page) {
	if p.users == 0 {
		t.idle--
	}
	p.users++
	t.clock++
	p.used = t.clock
}

// release takes one user from p. A page without tokens is of no use to anyone else.
func (t *pageTree) release(p *page) {
	p.users--
	if p.users > 0 {
		return
	}
	t.idle++
	if len(p.tokens) == 0 {
		t.remove(p)
	}
}

// grow makes a new page behind parent (nil for the beginning of a text), used by
// its maker. nil when the arena is full of pages in use.
func (t *pageTree) grow(parent *page, long bool) *page {
	if parent == nil {
		parent = &t.root
	}
	if len(t.free) == 0 {
		old := t.oldest(&t.root)
		if old == nil {
			return nil
		}
		t.remove(old)
	}
	id := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	t.clock++
	p := &page{id: id, parent: parent, long: long, users: 1, used: t.clock}
	parent.children = append(parent.children, p)
	return p
}

// oldest is the page used longest ago of those without users and without pages
// behind them.
func (t *pageTree) oldest(at *page) (old *page) {
	for _, c := range at.children {
		o := t.oldest(c)
		if o == nil && c.users == 0 && len(c.children) == 0 {
			o = c
		}
		if o != nil && (old == nil || o.used < old.used) {
			old = o
		}
	}
	return old
}

// remove gives a page without users and children back.
func (t *pageTree) remove(p *page) {
	i := slices.Index(p.parent.children, p)
	p.parent.children = slices.Delete(p.parent.children, i, i+1)
	t.free = append(t.free, p.id)
	t.idle--
}

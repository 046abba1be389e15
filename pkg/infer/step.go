package infer

import (
	"cmp"
	"math"
	"slices"
)

// span is a stretch of a step's rows: tokens of one sequence that follow each other.
type span struct {
	q     *sequence
	ids   []int32 // what is read, ids[done:done+n] of the sequence
	row   int     // first row of the step
	first int     // first row of the logits that are wanted; -1 for none
	count int     // logits wanted, of the last count rows
}

// admit lets waiting requests in, in the order in which they came, while there is
// room for all that they may need.
func (s *Scheduler) admit() {
	for len(s.running) < s.o.MaxBatch {
		s.mu.Lock()
		var q *sequence
		if len(s.waiting) > 0 {
			q = s.waiting[0]
		}
		s.mu.Unlock()
		if q == nil || !s.enter(q) {
			return
		}
		s.mu.Lock()
		s.waiting = s.waiting[1:]
		s.stats.ReusedTokens += int64(q.done)
		s.mu.Unlock()
		s.running = append(s.running, q)
	}
}

// enter gives q what is known of its beginning. It reports false, and changes
// nothing, when the arena has no room for the rest.
func (s *Scheduler) enter(q *sequence) bool {
	// The last token of the prompt is always read: its logits are wanted.
	m := s.tree.find(q.Prompt[:len(q.Prompt)-1], q.long, q.known)
	if q.Echo {
		m = m.lessOne()
	}
	if m.from != nil && !s.fits(q, m) {
		m.from, m.partial = nil, 0
		if q.Echo {
			m.whole = nil
		}
	}
	if !s.fits(q, m) {
		return false
	}
	for _, p := range m.whole {
		s.tree.take(p)
		q.pages = append(q.pages, p)
	}
	s.reserved += q.need - len(q.pages)
	q.done = m.tokens()
	if m.from != nil {
		s.tree.take(m.from) // it must not be given away while it is copied
		if m.partial > 0 {
			own := s.grow(q)
			s.engine.copyPage(own.id, m.from.id, m.partial)
			own.tokens = append(own.tokens, m.from.tokens[:m.partial]...)
			own.scores = append(own.scores, m.from.scores[:m.partial]...)
		}
		if q.Echo {
			q.next = m.from.scores[m.partial]
		}
		s.tree.release(m.from)
	}
	if q.Echo {
		for i := range q.done {
			q.tell(i, q.pages[i/PageTokens].scores[i%PageTokens])
		}
		q.tell(q.done, q.next)
	}
	return true
}

// fits reports whether the arena has room for what q needs beyond m; what m
// names cannot be given away for it.
func (s *Scheduler) fits(q *sequence, m match) bool {
	kept := 0
	for _, p := range append(m.whole[:len(m.whole):len(m.whole)], m.from) {
		if p != nil && p.users == 0 {
			kept++
		}
	}
	return s.tree.available()-s.reserved-kept >= q.need-len(m.whole)
}

// grow gives q its next page, of those reserved for it.
func (s *Scheduler) grow(q *sequence) *page {
	var parent *page
	if n := len(q.pages); n > 0 {
		parent = q.pages[n-1]
	}
	p := s.tree.grow(parent, q.long)
	if p == nil {
		panic("infer: a reserved page is not there")
	}
	s.reserved--
	q.pages = append(q.pages, p)
	return p
}

// plan shares the rows of a step out: a row to everyone who writes, the rest to those
// whose prompts are read (see readers).
func (s *Scheduler) plan() []span {
	var spans []span
	rows, waiting := s.o.Chunk, []*sequence(nil)
	for _, q := range s.running {
		if q.writing() {
			rows--
		} else {
			waiting = append(waiting, q)
		}
	}
	given, logits := readers(waiting, rows), 0
	for _, q := range s.running {
		n := 1
		if !q.writing() {
			n = given[q]
		}
		if n == 0 {
			continue
		}
		sp := span{q: q, ids: q.ids[q.done : q.done+n], first: -1}
		switch {
		case q.Echo && !q.writing():
			sp.count = n
		case q.done+n == len(q.ids):
			sp.count = 1
		}
		if sp.count > 0 {
			sp.first = logits
			logits += sp.count
		}
		spans = append(spans, sp)
	}
	return spans
}

// readers shares rows among prompts: half of them to those that came first, so that each
// of them ends soon and nobody waits for ever; the rest to the prompts that are read
// soonest, so that a short one does not wait for a long one.
func readers(waiting []*sequence, rows int) map[*sequence]int {
	given := map[*sequence]int{}
	give := func(order []*sequence, rows int) (left int) {
		for _, q := range order {
			n := min(len(q.Prompt)-q.done-given[q], rows)
			given[q] += n
			rows -= n
		}
		return rows
	}
	early := rows / 2
	rows = rows - early + give(waiting, early)
	short := slices.Clone(waiting)
	slices.SortStableFunc(short, func(a, b *sequence) int { return cmp.Compare(len(a.Prompt)-a.done, len(b.Prompt)-b.done) })
	give(short, rows)
	return given
}

// step runs one step and hands out what came of it.
func (s *Scheduler) step() error {
	spans := s.plan()
	for _, sp := range spans {
		for have := len(sp.q.pages) * PageTokens; have < sp.q.done+len(sp.ids); have += PageTokens {
			s.grow(sp.q)
		}
	}
	logits, err := s.engine.run(spans)
	if err != nil {
		return err
	}
	made := 0
	for _, sp := range spans {
		made += s.advance(sp, logits)
	}
	s.mu.Lock()
	s.stats.Steps++
	s.stats.Tokens += int64(made)
	s.mu.Unlock()
	return nil
}

// advance notes what a sequence has read, tells its stream, and takes its next
// token where there is one; it returns the number of tokens generated.
func (s *Scheduler) advance(sp span, logits []float32) int {
	q, v, n := sp.q, s.engine.vocab, len(sp.ids)
	for i, id := range sp.ids {
		p := q.pages[(q.done+i)/PageTokens]
		p.tokens, p.scores = append(p.tokens, id), append(p.scores, q.next)
		q.next = score{}
	}
	for i := range sp.count {
		at := q.done + n - sp.count + i // position whose logits these are
		row := logits[(sp.first+i)*v:][:v]
		if at+1 < len(q.Prompt) {
			sc := scoreOf(row, q.ids[at+1], q.Top)
			s.keep(q, at+1, sc)
			q.tell(at+1, sc)
			continue
		}
		q.done += n
		if q.MaxTokens == 0 {
			s.leave(q, Exhausted, nil)
			return 0
		}
		for _, id := range s.engine.never {
			row[id] = float32(math.Inf(-1))
		}
		if end := q.add(row[:s.engine.drawn]); end != "" {
			s.leave(q, end, nil)
		}
		return 1
	}
	q.done += n
	return 0
}

// keep notes the score of token i for others: in its page, or until it is read.
func (s *Scheduler) keep(q *sequence, i int, sc score) {
	if at := i / PageTokens; at < len(q.pages) && i%PageTokens < len(q.pages[at].scores) {
		q.pages[at].scores[i%PageTokens] = sc
		return
	}
	q.next = sc
}

// leave ends a running request and gives its pages back to the tree, where they
// stay for others until someone needs the room.
func (s *Scheduler) leave(q *sequence, r Reason, err error) {
	for i, o := range s.running {
		if o == q {
			s.running = append(s.running[:i:i], s.running[i+1:]...)
			break
		}
	}
	s.reserved -= q.need - len(q.pages)
	for i := len(q.pages) - 1; i >= 0; i-- {
		s.tree.release(q.pages[i])
	}
	q.pages = nil
	q.stream.end(r, err)
}

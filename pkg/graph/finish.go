package graph

import (
	"sort"
	"unsafe"
)

// span is a stretch of the gradient slab.
type span struct{ lo, hi int }

// finish notes at each call which stretches of the gradient slab it is the last to
// write, so that whoever waits for them can begin while the rest is computed.
func (m *Machine) finish(grads []float32, done func(lo, hi int)) {
	if len(grads) == 0 || done == nil {
		return
	}
	m.finished = done
	var later []span // written by later calls, ascending and apart
	for i := len(m.calls) - 1; i >= 0; i-- {
		c := &m.calls[i]
		for _, w := range c.gradWrites(grads) {
			c.done = append(c.done, minus(w.span, later)...)
			later = union(later, w.span)
		}
	}
}

// within is where part lies in whole.
func within(whole, part []float32) (span, bool) {
	if len(part) == 0 {
		return span{}, false
	}
	from := uintptr(unsafe.Pointer(&whole[0]))
	at := uintptr(unsafe.Pointer(&part[0]))
	if at < from || at >= from+4*uintptr(len(whole)) {
		return span{}, false
	}
	lo := int(at-from) / 4
	return span{lo, lo + len(part)}, true
}

// minus is what of w is in none of the spans.
func minus(w span, spans []span) []span {
	var out []span
	for _, s := range spans {
		if s.hi <= w.lo || s.lo >= w.hi {
			continue
		}
		if s.lo > w.lo {
			out = append(out, span{w.lo, s.lo})
		}
		w.lo = s.hi
	}
	if w.lo < w.hi {
		out = append(out, w)
	}
	return out
}

// union adds w to spans.
func union(spans []span, w span) []span {
	spans = append(spans, w)
	sort.Slice(spans, func(i, j int) bool { return spans[i].lo < spans[j].lo })
	out := spans[:1]
	for _, s := range spans[1:] {
		if last := &out[len(out)-1]; s.lo <= last.hi {
			last.hi = max(last.hi, s.hi)
		} else {
			out = append(out, s)
		}
	}
	return out
}

package jinja

import "errors"

// loopState is what the name loop stands for.
type loopState struct {
	items   []any
	at      int
	changed any // what changed() was given last
}

func (l *loopState) attribute(name string) (any, bool) {
	n := len(l.items)
	switch name {
	case "index":
		return int64(l.at + 1), true
	case "index0":
		return int64(l.at), true
	case "revindex":
		return int64(n - l.at), true
	case "revindex0":
		return int64(n - l.at - 1), true
	case "first":
		return l.at == 0, true
	case "last":
		return l.at == n-1, true
	case "length":
		return int64(n), true
	case "depth":
		return int64(1), true
	case "depth0":
		return int64(0), true
	case "previtem":
		if l.at > 0 {
			return l.items[l.at-1], true
		}
		return Undefined{"loop.previtem"}, true
	case "nextitem":
		if l.at+1 < n {
			return l.items[l.at+1], true
		}
		return Undefined{"loop.nextitem"}, true
	case "cycle":
		return function{"loop.cycle", func(_ *run, a arguments) (any, error) {
			if len(a.pos) == 0 {
				return nil, errors.New("no items to cycle through")
			}
			return a.pos[l.at%len(a.pos)], nil
		}}, true
	case "changed":
		return function{"loop.changed", func(r *run, a arguments) (any, error) {
			now := &List{Items: a.pos, tuple: true}
			same, err := r.equal(l.changed, now)
			l.changed = now
			return !same, err
		}}, true
	}
	return nil, false
}

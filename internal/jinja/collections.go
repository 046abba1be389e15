package jinja

import "errors"

// dictMethods are Python's methods of dictionaries that change nothing.
var dictMethods map[string]func(r *run, d *Dict, a arguments) (any, error)

// listMethods are those of lists.
var listMethods map[string]func(r *run, l *List, a arguments) (any, error)

func init() {
	dictMethods = map[string]func(*run, *Dict, arguments) (any, error){
		"items": func(r *run, d *Dict, _ arguments) (any, error) { return r.pairs(d) },
		"keys": func(r *run, d *Dict, _ arguments) (any, error) {
			return &List{Items: d.keys}, r.spend(1, 0)
		},
		"values": func(r *run, d *Dict, _ arguments) (any, error) {
			l := &List{}
			for _, k := range d.keys {
				l.Items = append(l.Items, d.values[k])
			}
			return l, r.spend(1+len(d.keys), 16*len(d.keys))
		},
		"get": func(_ *run, d *Dict, a arguments) (any, error) {
			if v, ok := d.Get(a.get(0, "key", nil)); ok {
				return v, nil
			}
			return a.get(1, "default", nil), nil
		},
	}
	listMethods = map[string]func(*run, *List, arguments) (any, error){
		"index": func(r *run, l *List, a arguments) (any, error) {
			for i, v := range l.Items {
				if same, err := r.equal(v, a.get(0, "value", Undefined{})); err != nil || same {
					return int64(i), err
				}
			}
			return nil, errors.New("value is not in the list")
		},
		"count": func(r *run, l *List, a arguments) (any, error) {
			n := int64(0)
			for _, v := range l.Items {
				same, err := r.equal(v, a.get(0, "value", Undefined{}))
				if err != nil {
					return nil, err
				}
				if same {
					n++
				}
			}
			return n, nil
		},
	}
}

// pairs is the list of a dictionary's keys and values.
func (r *run) pairs(d *Dict) (any, error) {
	l := &List{}
	for _, k := range d.keys {
		l.Items = append(l.Items, &List{[]any{k, d.values[k]}, true})
	}
	return l, r.spend(1+len(d.keys), 80*len(d.keys))
}

package coupled

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
)

// Compose is the cut that does at once what first and then second do: second
// counts units as first leaves them. set is the model before both.
func Compose(set *param.Set, first, second param.Cut) (param.Cut, error) {
	if n := len(set.LayerOrigin()); len(first.Left(n)) < n {
		return nil, fmt.Errorf("compose: %w: the first cut removes whole layers", param.ErrCut)
	}
	if err := set.Check(first); err != nil {
		return nil, fmt.Errorf("compose: first cut: %w", err)
	}
	out := param.Cut{}
	for dim, keep := range first {
		out[dim] = append(param.Keep(nil), keep...)
	}
	for dim, keep := range second {
		d := set.Dim(dim)
		if d.Size == 0 {
			return nil, fmt.Errorf("compose: second cut: %w: no dimension %q", param.ErrCut, dim)
		}
		was, ok := first[dim]
		if !ok {
			n := 1
			if d.Per != "" {
				n = set.Dim(d.Per).Size
			}
			for range n {
				was = append(was, upTo(d.Size))
			}
		}
		lists := upTo(len(was)) // lists that first leaves, in their old numbers
		if heads, ok := first[d.Per]; ok && d.Per != "" {
			lists = heads[0]
		}
		if len(keep) != len(lists) {
			return nil, fmt.Errorf("compose: second cut: %w: dimension %q has %d lists, expected %d", param.ErrCut, dim, len(keep), len(lists))
		}
		both := append(param.Keep(nil), was...)
		for i, l := range lists {
			both[l] = nil
			for _, u := range keep[i] {
				if u < 0 || u >= len(was[l]) {
					return nil, fmt.Errorf("compose: second cut: %w: dimension %q list %d: unit %d is not below %d", param.ErrCut, dim, i, u, len(was[l]))
				}
				both[l] = append(both[l], was[l][u])
			}
		}
		out[dim] = both
	}
	if err := set.Check(out); err != nil {
		return nil, fmt.Errorf("compose: second cut: %w", err)
	}
	return out, nil
}

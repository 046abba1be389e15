package graph

// freshen finds the calls that can overwrite a parameter's gradient instead of
// adding to it: the first to write it, if it is a product. The gradients of the
// adapters, which are small, are always added to.
func (l *lowering) freshen() {
	m := l.m
	m.fresh = map[string]bool{}
	if l.o.Grads == nil || len(l.o.Grads.Data) == 0 {
		return
	}
	l.clearGradSpace()
	at := map[int]string{} // blocks by where they begin
	for _, b := range l.b.set.Blocks {
		at[b.Offset] = b.Name
	}
	written := map[string]bool{}
	for i := range m.calls {
		for _, w := range m.calls[i].gradWrites(l.o.Grads.Data) {
			if block := at[w.lo]; !written[block] {
				written[block] = true
				if w.overwrites {
					m.first, m.fresh[block] = append(m.first, i), true
				}
			}
		}
	}
}

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
	at := map[int]string{} // blocks by where they begin
	for _, b := range l.b.set.Blocks {
		at[b.Offset] = b.Name
	}
	written := map[string]bool{}
	note := func(out []float32) (block string, isFirst bool) {
		w, ok := within(l.o.Grads.Data, out)
		if !ok {
			return "", false
		}
		block = at[w.lo]
		isFirst = !written[block]
		written[block] = true
		return block, isFirst
	}
	for i := range m.calls {
		c := &m.calls[i]
		for operand, d := range c.deposits {
			if block, isFirst := note(d); isFirst && operand == 1 {
				m.first, m.fresh[block] = append(m.first, i), true
			}
		}
		a, adds := c.op.(adder)
		if block, isFirst := note(c.out); isFirst && adds && c.add && !a.alwaysAdds() {
			m.first, m.fresh[block] = append(m.first, i), true
		}
	}
}

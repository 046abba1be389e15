package param

// Like is a set of the same shapes and origins without storage: Weights is nil.
// What happens to one leaves the other alone. It is what planning needs to ask
// "what if".
func (s *Set) Like() *Set {
	specs := make([]Spec, len(s.Params))
	for i, p := range s.Params {
		specs[i] = p.Spec
	}
	c, err := Layout(specs)
	if err != nil {
		panic("param: a set's own shapes do not fit: " + err.Error())
	}
	for name, of := range s.origin {
		c.origin[name] = append([][]int(nil), of...)
	}
	copy(c.from, s.from)
	return c
}

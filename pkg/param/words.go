package param

// Words is the memory of all weights as they are stored, in runs of float32 words: the slab of
// a set that is float32, else a run a block, of which a bfloat16 one holds two values a word.
// The runs share memory with the weights. It panics while a block is widened.
func (s *Set) Words() (runs [][]float32) {
	if s.Float32() == nil {
		for _, b := range s.Blocks {
			if b.wide {
				panic(errWide)
			}
		}
		return [][]float32{s.Weights.Data}
	}
	for _, b := range s.Blocks {
		switch {
		case b.wide:
			panic(errWide)
		case b.slab != nil:
			runs = append(runs, b.slab.Data)
		default:
			runs = append(runs, b.In(s.Weights))
		}
	}
	return runs
}

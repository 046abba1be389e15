package coupled

// Merge replaces every statistic by its sum over ranks that saw different
// sequences of the same steps: sum64 and sum32 replace a slice by its sum over the
// ranks. All ranks must have decayed alike. What comes out is what one rank that
// had seen all the sequences would have, up to the order of summation.
func (e *Evidence) Merge(sum64 func([]float64) error, sum32 func([]float32) error) error {
	// One message of each precision for all that is small.
	var all []float64
	var small []float32
	collect := func(f64 []float64, f32 []float32) error {
		all = append(all, f64...)
		if len(f32) > mergeAlone {
			return sum32(f32)
		}
		small = append(small, f32...)
		return nil
	}
	if err := e.visit(collect); err != nil {
		return err
	}
	if err := sum64(all); err != nil {
		return err
	}
	if len(small) > 0 {
		if err := sum32(small); err != nil {
			return err
		}
	}
	return e.visit(func(f64 []float64, f32 []float32) error {
		copy(f64, all)
		all = all[len(f64):]
		if len(f32) <= mergeAlone {
			copy(f32, small)
			small = small[len(f32):]
		}
		return nil
	})
}

// mergeAlone is the elements above which a matrix is a message of its own, summed
// where it stands: 256 KiB.
const mergeAlone = 1 << 16

// Reset forgets everything.
func (e *Evidence) Reset() {
	_ = e.visit(func(f64 []float64, f32 []float32) error { // clearing cannot fail
		clear(f64)
		clear(f32)
		return nil
	})
	for _, s := range e.sites {
		for _, m := range s.moments() {
			m.rows = m.rows[:0]
		}
	}
}

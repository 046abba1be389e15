package coupled

// Scores says how much each unit matters, by dimension: Scores[dim][list][unit].
// Higher matters more; a score is never negative. Within a group scores compare
// well, across groups badly (see Sensitivity).
type Scores map[string][][]float64

// Table makes zeroed scores of a group.
func (g Group) Table() [][]float64 {
	t := make([][]float64, g.Lists)
	for l := range t {
		t[l] = make([]float64, g.Units)
	}
	return t
}

package coupled

// sampled says of each cluster whether sensitivity measures it: where Every is above 1, of each
// kind but whole layers the first, every so many after it, and the last.
func (p *problem) sampled() []bool {
	of := map[Kind][]int{}
	for i, c := range p.clusters {
		of[c.kind] = append(of[c.kind], i)
	}
	out := make([]bool, len(p.clusters))
	for kind, at := range of {
		for n, i := range at {
			out[i] = p.Every < 2 || kind == Layer || n%p.Every == 0 || n == len(at)-1
		}
	}
	return out
}

// measures is how many clusters are measured.
func (p *problem) measures() (n int) {
	for _, yes := range p.sampled() {
		if yes {
			n++
		}
	}
	return n
}

// fill gives the curves that were not measured what those of their kind before and after them
// have: in proportion to the distance where both are of the same shares, else the nearer one's.
func (p *problem) fill(curves []Curve, sampled []bool) {
	before := map[Kind]int{} // the last measured one of a kind
	waiting := map[Kind][]int{}
	for i, c := range p.clusters {
		if !sampled[i] {
			waiting[c.kind] = append(waiting[c.kind], i)
			continue
		}
		for n, at := range waiting[c.kind] {
			t := float64(n+1) / float64(len(waiting[c.kind])+1)
			curves[at].Points = between(curves[before[c.kind]].Points, curves[i].Points, t)
		}
		before[c.kind], waiting[c.kind] = i, nil
	}
}

// between is the curve at t, 0 to 1, on the way from a to b.
func between(a, b []Point, t float64) []Point {
	nearer := a
	if t > 0.5 {
		nearer = b
	}
	if len(a) != len(b) {
		return nearer
	}
	out := make([]Point, len(a))
	for i := range a {
		if a[i].Removed != b[i].Removed {
			return nearer
		}
		out[i] = Point{a[i].Removed, (1-t)*a[i].Loss + t*b[i].Loss}
	}
	return out
}

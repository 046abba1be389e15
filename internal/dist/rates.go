package dist

import (
	"slices"
	"time"
)

// Rate is how fast the ranks sum one vector.
type Rate struct {
	DType string  `json:"dtype"` // what travels: f32 or bf16
	Bytes int     `json:"bytes"` // of the vector, as it travels
	Ms    float64 `json:"ms"`    // median
	GBs   float64 `json:"gb_s"`  // bytes that a ring passes on, 2(N-1)/N of the vector, in that time
}

// Rates checks that the ranks of a group understand each other (Exercise) and times
// their sums of vectors of 1 to 2^24 elements, steps times each.
func Rates(g Group, steps int) ([]Rate, error) {
	if err := Exercise(g, Bounds(1000, g.Size(), 1)); err != nil {
		return nil, err
	}
	var rates []Rate
	meet := make([]float32, 1)
	for _, n := range []int{1, 1 << 12, 1 << 16, 1 << 20, 1 << 24} {
		x := make([]float32, n)
		for _, as := range []struct {
			dtype string
			width int
			sum   func([]float32) error
		}{{"f32", 4, g.Sum}, {"bf16", 2, g.SumBF16}} {
			ms := make([]float64, 0, steps)
			for i := range steps + 1 { // the first opens connections
				if err := g.Sum(meet); err != nil { // all begin together
					return nil, err
				}
				start := time.Now()
				if err := as.sum(x); err != nil {
					return nil, err
				}
				if i > 0 {
					ms = append(ms, time.Since(start).Seconds()*1e3)
				}
			}
			slices.Sort(ms)
			bytes, median := as.width*n, ms[len(ms)/2]
			ring := 2 * float64(g.Size()-1) / float64(g.Size()) * float64(bytes)
			rates = append(rates, Rate{as.dtype, bytes, median, ring / median / 1e6})
		}
	}
	return rates, nil
}

package optim

import (
	"fmt"
	"math"
	"sort"
	"strings"
)

// A shape falls from 1 at x = 0 to 0 at x = 1.
type shape func(x float64) float64

var shapes = map[string]shape{
	// cosine is the half period of SGDR, https://arxiv.org/abs/1608.03983.
	"cosine":   func(x float64) float64 { return (1 + math.Cos(math.Pi*x)) / 2 },
	"linear":   func(x float64) float64 { return 1 - x },
	"constant": func(float64) float64 { return 1 },
}

func scheduleByName(name string) (shape, error) {
	if s, ok := shapes[name]; ok {
		return s, nil
	}
	var names []string
	for n := range shapes {
		names = append(names, n)
	}
	sort.Strings(names)
	return nil, fmt.Errorf("optim.schedule is %q, expected one of %s", name, strings.Join(names, ", "))
}

// Rate is the learning rate of a step (counted from 1) of a run of steps
// steps: linear warm-up from 0 to LR over WarmUp steps, then the schedule's
// shape from LR to MinLR at the last step. The Config must be resolved and valid.
func (c Config) Rate(step, steps int) float64 {
	if step <= c.WarmUp {
		return c.LR * float64(step) / float64(c.WarmUp)
	}
	f, err := scheduleByName(c.Schedule)
	if err != nil {
		panic("optim: Rate of a Config that was not validated")
	}
	x := 1.0
	if steps > c.WarmUp {
		x = math.Min(1, float64(step-c.WarmUp)/float64(steps-c.WarmUp))
	}
	return c.MinLR + (c.LR-c.MinLR)*f(x)
}

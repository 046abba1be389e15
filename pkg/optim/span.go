package optim

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Span is a part of a run as a run file gives it: a number of steps, or a percentage of all
// of them ("3%"). -1 stands for a default, the zero value is 0.
type Span string

// Steps is a span of so many steps.
func Steps(n int) Span { return Span(strconv.Itoa(n)) }

// Of is the span in steps of a run of so many, rounded.
func (s Span) Of(steps int) (int, error) {
	if s == "" {
		return 0, nil
	}
	if share, ok := strings.CutSuffix(string(s), "%"); ok {
		x, err := strconv.ParseFloat(strings.TrimSpace(share), 64)
		if err != nil || !(x >= 0 && x <= 100) {
			return 0, fmt.Errorf("%q, expected steps, 0 or more, or a percentage, 0%% to 100%%", s)
		}
		return int(math.Round(x / 100 * float64(steps))), nil
	}
	n, err := strconv.Atoi(string(s))
	if err != nil || n < -1 {
		return 0, fmt.Errorf("%q, expected steps, 0 or more, or a percentage, 0%% to 100%%", s)
	}
	return n, nil
}

package prune

import "testing"

func TestSpeed(t *testing.T) {
	side := func(rates ...float64) Side { return Side{Evaluation: Evaluation{Rates: rates}} }
	s := compared(side(1, 100, 50, 100, 100), side(100, 200, 100, 150, 300))
	if s == nil || s.Ratio != 2 || s.Low != 2 || s.High != 3 || s.Pairs != 4 {
		t.Errorf("%+v", s) // the first batch's hundredfold is warming up
	}
	if s := compared(side(10), side(20)); s == nil || s.Ratio != 2 || s.Pairs != 1 {
		t.Errorf("one batch: %+v", s)
	}
	if s := compared(side(1, 2), side(1)); s != nil {
		t.Errorf("other batches: %+v", s)
	}
	if r := (Side{Evaluation: Evaluation{Tokens: 10}, Seconds: 2}).Rate(); r != 5 {
		t.Errorf("without rates: %g", r)
	}
}

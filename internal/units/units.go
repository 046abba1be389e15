package units

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Bytes prints bytes in binary units: "1.50 GiB".
func Bytes(n int64) string {
	const k = 1 << 10
	switch f := float64(n); {
	case n >= k*k*k:
		return fmt.Sprintf("%.2f GiB", f/(k*k*k))
	case n >= k*k:
		return fmt.Sprintf("%.1f MiB", f/(k*k))
	case n >= k:
		return fmt.Sprintf("%.1f KiB", f/k)
	}
	return fmt.Sprintf("%d B", n)
}

// Count prints a count in decimal units: "58.2M".
func Count(n float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if n >= u.size {
			return fmt.Sprintf("%.3g%s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.3g", n)
}

// Clock prints a duration to the second: "1h02m03s", "4m05s", "6s".
func Clock(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	switch {
	case s >= 3600:
		return fmt.Sprintf("%dh%02dm%02ds", s/3600, s/60%60, s%60)
	case s >= 60:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%ds", s)
}

// Plural is n things in words: 1 core, 2 cores.
func Plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprint(n, " ", thing)
}

// Seconds is a duration of s seconds.
func Seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Median is the middle of x, the upper one of two; the zero value of none.
func Median[T cmp.Ordered](x []T) (m T) {
	if len(x) == 0 {
		return m
	}
	s := slices.Sorted(slices.Values(x))
	return s[len(s)/2]
}

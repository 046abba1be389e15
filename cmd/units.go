package cmd

import (
	"fmt"
	"time"
)

// byteCount prints bytes in binary units: "1.50 GiB".
func byteCount(n int64) string {
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

// quantity prints a count in decimal units: "58.2M".
func quantity(n float64) string {
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

// clock prints a duration to the second: "1h02m03s", "4m05s", "6s".
func clock(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	switch {
	case s >= 3600:
		return fmt.Sprintf("%dh%02dm%02ds", s/3600, s/60%60, s%60)
	case s >= 60:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%ds", s)
}

// several is n things in words: 1 core, 2 cores.
func several(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprint(n, " ", thing)
}

package coupled

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Target is how large a model may become: a share of what it has, or a number.
// The zero value is no target.
type Target struct {
	Fraction float64 // of the parameters there are, 0 to 1; 0 where Params counts
	Params   int
}

// ParseTarget reads "0.45x" (a share that stays), "27M", "1.3B", "450K" or a
// plain count of parameters. "" is no target.
func ParseTarget(s string) (Target, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Target{}, nil
	}
	bad := fmt.Errorf("target is %q, expected a share such as 0.45x (above 0, at most 1x) or a number of parameters such as 27M, 1.3B or 27000000", s)
	if n, ok := strings.CutSuffix(strings.ToLower(s), "x"); ok {
		f, err := strconv.ParseFloat(n, 64)
		if err != nil || !(f > 0 && f <= 1) {
			return Target{}, bad
		}
		return Target{Fraction: f}, nil
	}
	n, err := parseScaled(s, map[string]float64{"k": 1e3, "m": 1e6, "b": 1e9, "": 1})
	if f, ferr := strconv.ParseFloat(s, 64); ferr == nil && f > 0 && f <= 1 {
		return Target{}, fmt.Errorf("target is %q, which would be a number of parameters; did you mean %sx?", s, s)
	}
	if err != nil || n < 1 {
		return Target{}, bad
	}
	return Target{Params: int(n)}, nil
}

// ParseRatio reads the fractions of units to remove, each "KIND=FRACTION"; nil for none.
func ParseRatio(parts []string) (map[Kind]float64, error) {
	var out map[Kind]float64
	for _, s := range parts {
		kind, share, ok := strings.Cut(s, "=")
		x, err := strconv.ParseFloat(share, 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("has %q, expected KIND=FRACTION", s)
		}
		if out == nil {
			out = map[Kind]float64{}
		}
		out[Kind(kind)] = x
	}
	return out, nil
}

// ParseBytes reads a size of memory: "2GiB", "500MB", "1.5GB" or a plain number of bytes.
func ParseBytes(s string) (int64, error) {
	n, err := parseScaled(strings.TrimSpace(s), map[string]float64{
		"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	})
	if err != nil || n < 1 {
		return 0, fmt.Errorf("memory is %q, expected bytes such as 2GiB, 500MB or 2000000000", s)
	}
	return int64(n), nil
}

// parseScaled reads a non-negative decimal number with one of the suffixes, below 2^53.
func parseScaled(s string, scale map[string]float64) (float64, error) {
	at := len(s)
	for at > 0 && (s[at-1] < '0' || s[at-1] > '9') && s[at-1] != '.' {
		at--
	}
	f, ok := scale[strings.ToLower(strings.TrimSpace(s[at:]))]
	n, err := strconv.ParseFloat(s[:at], 64)
	if err == nil && (!ok || n < 0 || n*f >= 1<<53 || strings.ContainsAny(s[:at], "eExXpP_")) {
		err = strconv.ErrSyntax
	}
	return math.Round(n * f), err
}

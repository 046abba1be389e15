package checkpoint

import "fmt"

// Policy is the checkpoint section of a run file.
type Policy struct {
	Every     int  `yaml:"every"`      // steps between checkpoints; default (0) only at the end and on interruption
	KeepLast  int  `yaml:"keep_last"`  // number of newest checkpoints to keep; default 2
	KeepEvery int  `yaml:"keep_every"` // keep the checkpoint of every so many steps permanently; default (0) none
	KeepBest  bool `yaml:"keep_best"`  // keep the checkpoint with the lowest validation loss; default false
}

// DefaultPolicy is the policy of a run file without a checkpoint section.
func DefaultPolicy() Policy { return Policy{KeepLast: 2} }

// Validate reports the first value that makes no sense, by key.
func (p Policy) Validate() error {
	switch {
	case p.Every < 0:
		return fmt.Errorf("checkpoint.every is %d steps, expected 0 or more", p.Every)
	case p.KeepLast < 1:
		return fmt.Errorf("checkpoint.keep_last is %d, expected 1 or more", p.KeepLast)
	case p.KeepEvery < 0:
		return fmt.Errorf("checkpoint.keep_every is %d steps, expected 0 or more", p.KeepEvery)
	}
	return nil
}

// Most is how many checkpoints a run of so many steps has on disk at once at
// most: those that it keeps, and the one that is being written.
func (p Policy) Most(steps int) int {
	written := 1 // at the end
	if p.Every > 0 {
		written += (steps - 1) / p.Every
	}
	kept := p.KeepLast
	if p.KeepBest {
		kept++
	}
	if p.KeepEvery > 0 {
		kept += steps / p.KeepEvery
	}
	return max(1, min(written, kept+1))
}

// kept says which checkpoints, newest first, the policy keeps. best is a step,
// or negative.
func (p Policy) kept(list []Saved, best int) map[string]bool {
	keep, steps := map[string]bool{}, map[int]bool{}
	for i, s := range list {
		first := !steps[s.Step] // an older one of the same step has been replaced
		steps[s.Step] = true
		if i < p.KeepLast || first && (p.KeepBest && s.Step == best || p.KeepEvery > 0 && s.Step%p.KeepEvery == 0) {
			keep[s.Dir] = true
		}
	}
	return keep
}

package prune

import (
	"time"

	"github.com/ecospa/ecospa/internal/sysmem"
)

// PhaseReport is what one phase of a pruning took.
type PhaseReport struct {
	Name     PhaseName `json:"name"`
	Seconds  float64   `json:"seconds"`
	FLOPs    int64     `json:"flops"`     // of products, recomputed ones included; 0 where they are not counted
	PeakRSS  int64     `json:"peak_rss"`  // bytes, of the process while it lasted; 0 where the system does not say
	Expected int64     `json:"estimated"` // operations that were estimated before
	Planned  int64     `json:"planned"`   // bytes beside the weights that were planned before
}

// Working is progress: operations done and estimated, over all phases. It comes often.
type Working struct {
	Phase    PhaseName
	Done, Of int64
	Elapsed  time.Duration
}

// Left is how long the rest takes at the pace so far.
func (e Working) Left() time.Duration {
	if e.Done == 0 || e.Done >= e.Of {
		return 0
	}
	return time.Duration(float64(e.Elapsed) / float64(e.Done) * float64(e.Of-e.Done))
}

// phases is the progress of a job.
type phases struct {
	begun    time.Time
	estimate Estimate
	reports  []PhaseReport
	now      PhaseName
	done     int64 // operations of finished phases, as they were estimated
	here     int64 // of this one
	peak     int64 // bytes
}

// expected is the estimate of a phase.
func (s *phases) expected(name PhaseName) PhaseEstimate {
	for _, p := range s.estimate.Phases {
		if p.Name == name {
			return p
		}
	}
	return PhaseEstimate{Name: name}
}

// phase runs a part of the job and notes what it took.
func (p *Job) phase(name PhaseName, run func() error) error {
	s := &p.progress
	if s.begun.IsZero() {
		s.begun = time.Now()
	}
	_, peak := sysmem.Resident()
	s.peak = max(s.peak, peak)
	reset := p.CheckMemory && sysmem.ForgetPeak() // else the peak is somebody else's
	start, expected := time.Now(), s.expected(name)
	s.now, s.here = name, 0
	err := run()
	r := PhaseReport{Name: name, Seconds: time.Since(start).Seconds(), FLOPs: s.here, Expected: expected.FLOPs, Planned: expected.Bytes}
	if _, peak = sysmem.Resident(); reset {
		r.PeakRSS = peak
	}
	s.peak = max(s.peak, peak)
	s.reports, s.done, s.here = append(s.reports, r), s.done+expected.FLOPs, 0
	return err
}

// worked counts operations and tells of them.
func (p *Job) countWork(flops int64) {
	s := &p.progress
	s.here += flops
	if p.Working != nil {
		done := min(s.here, s.expected(s.now).FLOPs)
		p.Working(Working{s.now, s.done + done, s.estimate.FLOPs(), time.Since(s.begun)})
	}
}

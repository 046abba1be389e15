package train

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
)

// Event is one pruning event of a run, before and after.
type Event struct {
	Step         int           `json:"step"`
	ParamsBefore int           `json:"params_before"`
	ParamsAfter  int           `json:"params_after"`
	RSSBefore    int64         `json:"rss_before"` // bytes
	RSSAfter     int64         `json:"rss_after"`
	PlannedFrom  int64         `json:"planned_before"` // training bytes by plan
	PlannedTo    int64         `json:"planned_after"`
	Took         time.Duration `json:"took_ns"` // scoring, rewriting and lowering
	Plan         string        `json:"plan"`    // file name under plans/
}

// Pruner is the hook that makes a run's pruning events: evidence becomes
// scores, scores a plan, the plan a rewrite in place.
type Pruner struct {
	Config coupled.Config
	Goal   coupled.Goal // resolved when the run began
	// Footprint is needed for prune.target_memory alone.
	Footprint coupled.Footprint
	// Calibration is the text of the passes that Config.Calibration asks for.
	Calibration prune.Sequences
	Dir         string      // where plans are written
	Report      func(Event) // told of each event; may be nil
	Failed      func(error) // told that a plan could not be written yet; may be nil
	Events      []Event     // so far, those of an interrupted run included
	Steps       int         // that the schedule counts in, of a run that was made longer since; 0: the loop's

	left map[string][]byte // plans that are not written, by path
}

// Hook attaches the pruner to a loop.
func (p *Pruner) Hook() Hook {
	return Hook{Name: "prune", Start: p.start, Step: p.step}
}

func (p *Pruner) start(l *Loop) error {
	l.EvidenceDecay = coupled.DecayFactor(p.Config.HalfLife)
	return p.watch(l)
}

// Horizon is the number of steps that the schedule counts in.
func (p *Pruner) Horizon(l *Loop) int {
	if p.Steps > 0 {
		return p.Steps
	}
	return l.Steps
}

// watch gathers evidence exactly while a later event needs it.
func (p *Pruner) watch(l *Loop) error {
	need := p.Config.Calibration == 0 && p.Config.Schedule().Remaining(l.Step, p.Horizon(l)) > 0
	if need == (l.Evidence != nil) {
		return nil
	}
	if need {
		l.Watch(p.Config.Options(l.Model.Scale()))
	} else {
		l.Evidence.Close()
		l.Evidence = nil
	}
	return l.Lower()
}

func (p *Pruner) step(l *Loop) error {
	share, due := p.Config.Schedule().At(l.Step, p.Horizon(l))
	if !due {
		return nil
	}
	start := time.Now()
	ev := Event{Step: l.Step, ParamsBefore: l.Set.Count(), PlannedFrom: l.Memory().Total()}
	ev.RSSBefore, _ = sysmem.Resident()
	ev.Plan = fmt.Sprintf("step-%06d.json", l.Step)
	cut := p.cut
	if p.Config.Calibration > 0 {
		cut = p.calibrated
	}
	if err := cut(l, p.Goal.At(share), filepath.Join(p.Dir, ev.Plan)); err != nil {
		return fmt.Errorf("event at step %d: %w", l.Step, err)
	}
	if err := l.same(fmt.Sprintf("the parameters behind the plan of step %d", l.Step)); err != nil {
		return err
	}
	if err := p.watch(l); err != nil {
		return err
	}
	ev.ParamsAfter, ev.PlannedTo, ev.Took = l.Set.Count(), l.Memory().Total(), time.Since(start)
	ev.RSSAfter, _ = sysmem.Resident()
	l.Last.Pruned, l.Last.Event, l.Last.Params, l.Last.RSS = true, &ev, ev.ParamsAfter, ev.RSSAfter
	p.Events = append(p.Events, ev)
	if p.Report != nil {
		p.Report(ev)
	}
	return nil
}

// cut decides from the evidence of the steps, on rank 0 for all, and rewrites.
func (p *Pruner) cut(l *Loop, budget coupled.Budget, path string) error {
	if err := l.MergeEvidence(); err != nil {
		return err
	}
	plan, err := prune.Decide(l.Group(), fmt.Sprintf("the plan of step %d", l.Step), func() (*coupled.Plan, error) {
		return coupled.MakePlan(coupled.Request{
			Set: l.Set, Family: l.Model.Family(), Config: p.Config, Budget: budget, Evidence: l.Evidence, Footprint: p.Footprint,
		})
	})
	if err != nil {
		return err
	}
	if err := p.write(l, path, plan); err != nil {
		return err
	}
	return l.Rewrite(plan)
}

// calibrated does what the subcommand prune does: a calibration pass, shared by the
// ranks, a plan by any criterion and allocation, improvements, the cut. Where the
// basis changes momenta follow it (optim.Config.Momenta); other moments start afresh.
func (p *Pruner) calibrated(l *Loop, budget coupled.Budget, path string) error {
	state, done, err := l.State()
	if err != nil {
		return err
	}
	defer done()
	slabs, others := l.cutting(state)
	changes := p.Config.Improve.Basis != coupled.BasisNone
	var momenta []*param.Slab
	if changes && l.adapters == nil {
		momenta = l.Optim.Momenta(state)
	}
	pr := prune.Job{
		Calibration: prune.Calibration{Model: l.Model, Set: l.Set, Pool: l.Pool, Data: p.Calibration, Ranks: l.Group()},
		Config:      p.Config, Improve: p.Config.Improve, Footprint: p.Footprint, Slabs: slabs, Parallel: others, Momenta: momenta,
	}
	r, err := pr.Round(budget)
	if r != nil && r.Evidence != nil {
		defer r.Evidence.Close()
	}
	if err != nil {
		return err
	}
	if momenta != nil {
		optim.CrossBasis(state, coupled.Mixed(l.Set))
	}
	l.reshard(state)
	if changes && momenta == nil {
		optim.Reset(l.Opt)
	}
	if i := p.Config.Improve; changes || i.Compensate != coupled.CompensateNone || i.Gains {
		l.resetAverage()
	}
	if err := p.write(l, path, r.Plans[0]); err != nil {
		return err
	}
	return l.Lower()
}

// Rewrite carries out a plan on everything the loop owns and lowers the graph again.
func (l *Loop) Rewrite(plan *coupled.Plan) error {
	if err := plan.Validate(l.Model.Family(), l.Set); err != nil {
		return err
	}
	state, done, err := l.State()
	if err != nil {
		return err
	}
	defer done()
	slabs, others := l.cutting(state)
	var parallel []graph.Parallel
	if l.Evidence != nil {
		parallel = append(parallel, l.Evidence)
	}
	if l.adapters != nil {
		err = l.rewriteAdapted(plan.Cut(), slabs, others, parallel)
	} else {
		if l.Evidence != nil {
			slabs = append(slabs, l.Evidence.Slabs()...)
		}
		err = graph.Rewrite(l.Set, plan.Cut(), slabs, append(parallel, others...)...)
	}
	if err != nil {
		return err
	}
	l.reshard(state)
	return l.Lower()
}

// write writes a plan, on rank 0. Pruning goes on when the disk does not take it: Flush
// tries again.
func (p *Pruner) write(l *Loop, path string, plan *coupled.Plan) error {
	if l.Group().Rank() != 0 {
		return nil
	}
	var text bytes.Buffer
	if err := coupled.WritePlan(&text, plan); err != nil {
		return err
	}
	if p.left == nil {
		p.left = map[string][]byte{}
	}
	p.left[path] = text.Bytes()
	if err := p.Flush(); err != nil && p.Failed != nil {
		p.Failed(err)
	}
	return nil
}

// Flush writes the plans that the disk has not taken so far.
func (p *Pruner) Flush() error {
	if len(p.left) == 0 {
		return nil
	}
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return err
	}
	for path, text := range p.left {
		if err := checkpoint.WriteFile(path, text); err != nil {
			return err
		}
		delete(p.left, path)
	}
	return nil
}

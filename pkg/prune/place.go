package prune

import (
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/coupled"
)

// place is where a round's store lies, and what goes into it.
type place struct {
	dir  string // "" for nowhere: each phase that needs second moments makes a pass of its own
	keep bool   // for a process that goes on later
	// rows has the pass that gathers evidence store activations, so that no other pass is
	// needed; else the first phase that needs second moments stores them.
	rows bool
}

// freeSpace is what a file system says is left; tests have other disks.
var freeSpace = checkpoint.Free

// placeStore decides where the store of a round that gathers from these sequences lies: in the
// checkpoint's directory, or in the scratch directory if it has room for the store and the
// result; full says that it has not.
func (p *Job) placeStore(gather Sequences) (at place, full *NoRoom, err error) {
	if !p.stores() || p.group().Rank() != 0 { // only rank 0 makes passes for second moments
		return place{}, nil, nil
	}
	if p.Checkpoint != "" {
		return place{dir: p.Checkpoint, keep: true}, nil, nil
	}
	at = place{dir: p.Scratch, rows: p.records(gather)}
	free, known, err := freeSpace(at.dir)
	if err != nil || !known {
		return at, nil, err
	}
	bytes := p.storeBytes(gather, at.rows)
	if free < bytes+bytes/8+4*p.Set.WeightBytes()/3 {
		return place{}, &NoRoom{at.dir, bytes, free}, nil
	}
	return at, nil, nil
}

// stores reports whether several phases need second moments and a directory is given for them.
func (p *Job) stores() bool {
	_, o := p.Improve.Options(0)
	several := p.PlanFile == "" && (needsLoss(p.Config.Allocation) || p.Config.ByRefit(p.Improve))
	return o.Compensation && several && !p.Uncoupled && (p.Scratch != "" || p.Checkpoint != "")
}

// records reports whether the pass over these sequences shows all that second moments come from,
// and these are kept as rows.
func (p *Job) records(gather Sequences) bool {
	c := p.Calibration
	c.Data = gather
	passes := p.Evidence == nil && p.EvidenceFile == "" && p.group().Size() == 1
	return passes && c.enough().Len() == gather.Len() && coupled.KeepsRows(widest(p.Set), gather.tokens())
}

// storeBytes is what a store takes on disk.
func (p *Job) storeBytes(gather Sequences, rows bool) (bytes int64) {
	c := p.Calibration
	c.Data = gather
	for layer := range p.Set.Layers() {
		if rows {
			for _, s := range c.momentSites(p.Improve, layer) {
				bytes += 4 * int64(gather.tokens()) * int64(s.Cols)
			}
			continue
		}
		e := coupled.NewEvidence(p.Set, c.momentOptions(p.Improve, layer))
		bytes += e.MomentBytes()
		e.Close()
	}
	return bytes
}

// openStore makes the store of the model as it is now, after the pass that gathers evidence, where
// the place is not for rows, which that pass has stored.
func (p *Job) openStore(at place) error {
	switch {
	case at.dir == "":
		return nil
	case at.rows:
		return p.store.rows.flush()
	}
	c := p.Calibration
	c.Data, _, _ = p.split()
	name := "moments"
	if coupled.KeepsRows(widest(p.Set), c.enough().tokens()) {
		name = "rows" // which an earlier version did not keep
	}
	p.store = newStore(at.dir, name, at.keep)
	if at.keep {
		p.store.find(p.Set.Layers())
	}
	return nil
}

// closeStore gives up what a round kept on disk.
func (p *Job) closeStore() {
	p.store.Close()
	p.store = nil
}

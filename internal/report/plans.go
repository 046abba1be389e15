package report

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/coupled"
)

const (
	maxPlans    = 256      // files under plans/
	maxPlanFile = 64 << 20 // bytes of one
	maxGroups   = 1 << 12  // decisions of a plan
	profile     = 48       // points of a score profile
)

// Plan is a pruning plan, condensed.
type Plan struct {
	File          string
	Step          int // 0 when the name does not say
	Criterion     string
	Allocation    string
	Before, After int // parameters of the model
	Groups        []Group
}

// Group is one decision of a plan: a layer's units of one kind.
type Group struct {
	Layer   int
	Kind    coupled.Kind
	Lists   int       // of units, as many as heads that are decided apart
	Units   int       // of a list, before
	Keep    int       // of a list, after
	Removed float64   // share of the score mass that goes, 0 to 1
	Profile []float64 // scores from the highest to the lowest at even distances; empty when none were recorded
}

// readPlans reads plans/ in the order of the steps.
func (r *Run) readPlans(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), "plans")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		if len(r.Plans) == maxPlans {
			return fmt.Errorf("plans: more than %d files", maxPlans)
		}
		p, err := readPlan(root, "plans/"+e.Name())
		if err != nil {
			return fmt.Errorf("plans/%s: %w", e.Name(), err)
		}
		fmt.Sscanf(e.Name(), "step-%d.json", &p.Step)
		p.File = e.Name()
		r.Plans = append(r.Plans, p)
	}
	slices.SortStableFunc(r.Plans, func(a, b Plan) int { return a.Step - b.Step })
	return nil
}

func readPlan(root *os.Root, name string) (Plan, error) {
	f, err := root.Open(name)
	if err != nil {
		return Plan{}, err
	}
	defer f.Close()
	s, err := f.Stat()
	if err != nil {
		return Plan{}, err
	}
	if s.Size() > maxPlanFile {
		return Plan{}, fmt.Errorf("%d bytes, expected at most %d", s.Size(), maxPlanFile)
	}
	p, err := coupled.ReadPlan(io.LimitReader(f, maxPlanFile))
	if err != nil {
		return Plan{}, err
	}
	if len(p.Decisions) > maxGroups {
		return Plan{}, fmt.Errorf("%d decisions, expected at most %d", len(p.Decisions), maxGroups)
	}
	out := Plan{Criterion: p.Criterion, Allocation: p.Allocation, Before: p.Before, After: p.After}
	for _, d := range p.Decisions {
		if d.Units < 1 || d.Keep < 0 || d.Keep > d.Units || d.Layer < 0 || len(d.Kept) == 0 {
			return Plan{}, fmt.Errorf("layer %d %s keeps %d of %d units in %d lists, which cannot be", d.Layer, d.Kind, d.Keep, d.Units, len(d.Kept))
		}
		g := Group{Layer: d.Layer, Kind: d.Kind, Lists: len(d.Kept), Units: d.Units, Keep: d.Keep, Removed: d.Removed}
		g.Profile = profileOf(d.Scores)
		out.Groups = append(out.Groups, g)
	}
	return out, nil
}

// profileOf is the scores of all lists from the highest to the lowest, thinned
// out to an even number of points.
func profileOf(lists [][]float64) []float64 {
	var all []float64
	for _, l := range lists {
		for _, x := range l {
			if !math.IsNaN(x) && !math.IsInf(x, 0) && x >= 0 {
				all = append(all, x)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	slices.Reverse(all)
	n := min(profile, len(all))
	out := make([]float64, n)
	for i := range out {
		out[i] = all[i*(len(all)-1)/max(1, n-1)]
	}
	return out
}

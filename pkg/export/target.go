package export

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/model"
)

// Demands are the shapes that a target asks for.
type Demands struct {
	AnyShape       bool   // nothing is asked
	PerLayer       bool   // layers may differ in heads and feed-forward width
	WholeAttention bool   // attention stays as it is: only feed-forward units may be pruned
	Block          int    // rows of its matrices are best multiples of this; 0 is any
	AllHeads       string // why no head may be removed; "" where heads may
	AllLayers      string // why no layer may be removed; "" where layers may
}

// Targets lists what models can be pruned for: every format's.
func Targets() []string {
	var out []string
	for _, name := range Formats() {
		out = append(out, formats[name].Targets()...)
	}
	return out
}

// demands asks the format that has the target.
func demands(target string, m model.Model) (Demands, error) {
	for _, f := range formats {
		if slices.Contains(f.Targets(), target) {
			return f.Demands(target, m)
		}
	}
	return Demands{}, fmt.Errorf("target format %q is unknown, expected one of %s", target, strings.Join(Targets(), ", "))
}

// Constrain holds a pruning configuration to the shapes that a target has, so that
// a model that was not pruned before fits without padding. What contradicts it is an
// error.
func Constrain(target string, m model.Model, c *coupled.Config) error {
	if target == "" {
		return nil
	}
	d, err := demands(target, m)
	if err != nil || d.AnyShape {
		return err
	}
	chosen := c.Kinds
	for k := range c.Ratio {
		chosen = append(chosen, k)
	}
	has := func(k coupled.Kind) bool { return slices.Contains(chosen, k) }
	if d.Block > 0 && c.RoundTo == 1 {
		c.Round = rounding(m, d.Block, has(coupled.Head))
	}
	c.Layout = coupled.LayoutUniform
	if d.PerLayer {
		c.Layout = coupled.LayoutHeads
	}
	if has(coupled.Layer) && d.AllLayers != "" {
		return fmt.Errorf("format %s does not take kind layer: %s", target, d.AllLayers)
	}
	if d.WholeAttention {
		// Their head width is the residual width over the heads, or cannot be said.
		for _, k := range chosen {
			if k != coupled.FFN && k != coupled.Layer {
				return fmt.Errorf("format %s needs the attention of a %s as it is, but kind %s is to be pruned", target, m.Family(), k)
			}
		}
		if len(chosen) == 0 {
			c.Kinds = []coupled.Kind{coupled.FFN}
		}
		return nil
	}
	if len(chosen) > 0 && has(coupled.QK) != has(coupled.VO) {
		return fmt.Errorf("format %s has q, k and v heads of one width: prune kinds qk and vo together", target)
	}
	if has(coupled.Head) && d.AllHeads != "" {
		return fmt.Errorf("format %s does not take kind head: %s", target, d.AllHeads)
	}
	return nil
}

// rounding is the multiples of rows, by kind, with which the matrices that read pruned units
// still fill blocks where they do now: all of the feed-forward width, and of a head's so
// many that those of all heads do.
func rounding(m model.Model, block int, headsToo bool) map[coupled.Kind]int {
	a, round := m.Arch(), map[coupled.Kind]int{}
	if a.Hidden%block != 0 { // no matrix fills them
		return round
	}
	if a.FFN%block == 0 && a.FFN >= 3*block { // else too few widths are left
		round[coupled.FFN] = block
	}
	n := block
	for heads := a.Heads; heads%2 == 0 && n%2 == 0 && !headsToo; heads /= 2 {
		n /= 2
	}
	if a.HeadDim%n == 0 && n < a.HeadDim {
		round[coupled.QK], round[coupled.VO] = n, n
	}
	return round
}

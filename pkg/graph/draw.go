package graph

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// colour is how a drawing shows what a step is: fill and words of the legend.
type colour struct{ fill, words string }

var (
	colourForward    = colour{"#cfe3ff", "forward"}
	colourBackward   = colour{"#ffd9c2", "gradient of a value"}
	colourParameter  = colour{"#ffc2d1", "gradient of parameters, added to the slab"}
	colourEvidence   = colour{"#d6f5c6", "gate gradients"}
	colourRecomputed = colour{"#e6dcff", "recomputed"}
	colourLeaf       = colour{"#f4f1e4", "parameters"}
	colourInput      = colour{"#e3e3e3", "inputs"}
)

var legend = []colour{colourForward, colourBackward, colourParameter, colourEvidence, colourRecomputed, colourLeaf, colourInput}

func (p *Plan) colour(i int) colour {
	s := p.Steps[i]
	switch {
	case len(s.Grads) > 0:
		return colourParameter
	case s.Buffer >= 0 && p.Buffers[s.Buffer].Purpose == Evidence:
		return colourEvidence
	case s.Phase == Recomputed:
		return colourRecomputed
	case s.Phase == Backward:
		return colourBackward
	}
	return colourForward
}

func (l PlanLeaf) colour() colour {
	if l.Param {
		return colourLeaf
	}
	return colourInput
}

// Op is the operation without its attributes.
func (s PlanStep) Op() string {
	name, _, _ := strings.Cut(s.Name, "(")
	return name
}

// caption is the second line of a step: shape, memory, what it adds to.
func (p *Plan) caption(i int) string {
	s := p.Steps[i]
	parts := []string{shapeText(s.Shape)}
	if len(s.Grads) > 0 {
		parts = append(parts, "to "+strings.Join(s.Grads, ", "))
	}
	if s.Buffer >= 0 {
		b := p.Buffers[s.Buffer]
		parts = append(parts, fmt.Sprintf("%s at %s", bytesText(b.Bytes), bytesText(b.Offset)))
		for _, in := range s.In {
			if in >= 0 && p.Steps[in].Buffer == s.Buffer && s.Op() != "HeadLoss.dx" {
				parts = append(parts, "in place")
				break
			}
		}
	}
	return strings.Join(parts, " · ")
}

// details is all that is known of a step.
func (p *Plan) details(i int) string {
	s := p.Steps[i]
	t := fmt.Sprintf("step %d, %s: %s", i, s.Phase, s.Name)
	if s.FLOPs > 0 {
		t += fmt.Sprintf("\n%.3g million floating-point operations", float64(s.FLOPs)/1e6)
	}
	if s.Buffer >= 0 {
		b := p.Buffers[s.Buffer]
		t += fmt.Sprintf("\nbuffer %d (%s), alive from step %d to %d", s.Buffer, b.Purpose, b.First, b.Last)
	}
	return t
}

func shapeText(shape []int) string {
	if len(shape) == 0 {
		return "scalar"
	}
	var parts []string
	for _, d := range shape {
		parts = append(parts, fmt.Sprint(d))
	}
	return strings.Join(parts, " × ")
}

func bytesText(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
}

// summary is one line about the whole plan.
func (p *Plan) summary() string {
	return fmt.Sprintf("%d steps, %s planned for %s of values, %.3g million floating-point operations",
		len(p.Steps), bytesText(p.arena), bytesText(p.values), float64(p.FLOPs())/1e6)
}

// WriteDOT writes the plan as a graph in Graphviz's DOT language
// (https://graphviz.org/doc/info/lang.html): a node a step or leaf, coloured by
// what it is, an edge an operand.
func (p *Plan) WriteDOT(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "digraph plan {\n  label=%s;\n  node [shape=box, style=\"rounded,filled\", fontname=Helvetica, fontsize=10];\n", dotText(p.summary()))
	for i, l := range p.Leaves {
		fmt.Fprintf(b, "  l%d [label=%s, fillcolor=%q];\n", i, dotText(l.Name+"\n"+shapeText(l.Shape)), l.colour().fill)
	}
	for i, s := range p.Steps {
		fmt.Fprintf(b, "  s%d [label=%s, tooltip=%s, fillcolor=%q];\n", i, dotText(s.Op()+"\n"+p.caption(i)), dotText(p.details(i)), p.colour(i).fill)
		for _, in := range s.In {
			if in < 0 {
				fmt.Fprintf(b, "  l%d -> s%d;\n", -1-in, i)
			} else {
				fmt.Fprintf(b, "  s%d -> s%d;\n", in, i)
			}
		}
	}
	b.WriteString("}\n")
	return b.Flush()
}

// dotText is a quoted string of DOT.
func dotText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

package lab

import (
	"testing"

	"github.com/ecospa/ecospa/pkg/config"
)

// TestTimesOfABusyMachineAreNotJudged: a claim about a time says nothing where other programs
// ran, and a claim about parameters is judged all the same.
func TestTimesOfABusyMachineAreNotJudged(t *testing.T) {
	most := 0.6
	row := &config.PaperRow{Name: "r", Claims: []config.PaperClaim{
		{Paper: "less", Figure: "params", Of: "pruned", Over: "dense", AtMost: &most},
		{Paper: "faster", Figure: "ms", Of: "pruned", Over: "dense", AtMost: &most},
	}}
	side := func(name string, x, load float64) PaperSummary {
		return PaperSummary{Name: name, Seeds: 1, Cells: []PaperCell{{Seed: 1, Load: load, Figures: map[string]float64{"params": x, "ms": x}}}}
	}
	for load, want := range map[float64][2]string{0: {"yes", "yes"}, 5.25: {"yes", "not judged: the machine was busy (load 5.2)"}} {
		got, err := claims(row, []PaperSummary{side("dense", 10, load), side("pruned", 5, 0)}, false)
		if err != nil || len(got) != 2 {
			t.Fatal(got, err)
		}
		for i, v := range got {
			if v.verdict() != want[i] || v.Reached != (want[i] == "yes") {
				t.Errorf("load %g: %s is %q (%t), expected %q", load, v.Paper, v.verdict(), v.Reached, want[i])
			}
		}
	}
}

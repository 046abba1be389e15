package report

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/train"
)

// written is a run of 100 steps of 3.6 s and 5 FLOPs, with layers, rewards and averaged weights.
func written(t *testing.T) *Run {
	t.Helper()
	var text bytes.Buffer
	for step := 1; step <= 100; step++ {
		loss := 5 / math.Sqrt(float64(step))
		r := train.Record{Step: step, Loss: loss, Ms: 3600, FLOPs: 5, Tokens: int64(10 * step), GradNorm: 1, Params: 7,
			Rewards: &train.Rewards{Chosen: loss, Margin: 1 / loss, Accuracy: 0.5}}
		if step == 1 {
			r.Memory = &train.Memory{Weights: 5}
		}
		if step%10 == 0 {
			held, averaged := loss+1, loss+0.5
			r.ValLoss, r.ValEMA = &held, &averaged
			for _, name := range []string{"embed", "layer 0", "layer 1", "layer 2", "layer 3", "layer 4", "layer 5", "head"} {
				r.Layers = append(r.Layers, train.LayerNorm{Name: name, Grad: loss, Update: 1e-3})
			}
		}
		if err := json.NewEncoder(&text).Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "metrics.jsonl"), text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func drawn(t *testing.T, r *Run, x, log, zoom string) map[string]Chart {
	t.Helper()
	a, err := ParseAxes(x, log, zoom)
	if err != nil {
		t.Fatal(err)
	}
	list, err := charts([]*Run{r}, a)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]Chart{}
	for _, c := range list {
		out[c.Key] = c
	}
	return out
}

// TestAxes: every x, logarithms, and parts of a run.
func TestAxes(t *testing.T) {
	r := written(t)
	for x, end := range map[string]float64{"": 100, "step": 100, "tokens": 1000, "flops": 500, "hours": 0.1} {
		c := drawn(t, r, x, "", "")["loss"]
		if c.From != 0 || math.Abs(c.To-end) > 1e-9*end || x != "" && c.X != x || len(c.Points) != 2 || len(c.Points[0].X) != 10 || !c.Averaged {
			t.Errorf("x is %q: %q from %g to %g, %d kinds of dots", x, c.X, c.From, c.To, len(c.Points))
		}
	}
	c := drawn(t, r, "tokens", "xy", "300:500")
	if l := c["loss"]; l.From != 300 || l.To != 500 || !l.LogX || !l.LogY || len(l.Curves[0].X) != 21 || len(l.Points[0].X) != 3 {
		t.Errorf("zoomed: from %g to %g, %d points", l.From, l.To, len(l.Curves[0].X))
	}
	if l := c["layer-gradient-norm"]; len(l.Curves) != drawnLayers || l.Curves[0].Name != "embed" || l.Curves[drawnLayers-1].Name != "head" || len(l.Curves[0].X) != 3 {
		t.Errorf("layers: %d curves", len(l.Curves))
	}
	if m := c["reward-margin"]; len(m.Curves) != 1 || m.Curves[0].Y[0] >= m.Curves[0].Y[20] {
		t.Errorf("margins: %+v", m)
	}
	if m := c["memory"]; len(m.Stack) != 1 || m.Stack[0].X[0] != 300 {
		t.Errorf("the memory of the part: %+v", m.Stack)
	}
	if half := drawn(t, r, "", "x", ":50")["loss"]; half.From != 1 || half.To != 50 {
		t.Errorf("the first half is from %g to %g", half.From, half.To)
	}
	page, err := New([]*Run{r}, "", Axes{X: "hours", LogX: true})
	if err != nil {
		t.Fatal(err)
	}
	var html bytes.Buffer
	if err := page.WriteHTML(&html); err != nil || !strings.Contains(html.String(), "Update ratio by layer") || !strings.Contains(html.String(), "that of the averaged weights") || strings.Contains(html.String(), "NaN") || !strings.Contains(html.String(), "drawn against hours") {
		t.Errorf("the page lacks the layers or the averaged weights (%v)", err)
	}
}

func TestAxesRefuse(t *testing.T) {
	for _, c := range [][3]string{{"days", "", ""}, {"", "z", ""}, {"", "", "5"}, {"", "", "7:3"}, {"", "", "a:b"}, {"", "", "-1:2"}} {
		if _, err := ParseAxes(c[0], c[1], c[2]); err == nil {
			t.Errorf("%q is accepted", c)
		}
	}
	r := written(t)
	for i := range r.Steps {
		r.Steps[i].FLOPs = 0
	}
	for want, a := range map[string]Axes{"an earlier version": {X: "flops"}, "no run has a step": {Zoom: true, From: 500, To: 600}} {
		if _, err := charts([]*Run{r}, a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

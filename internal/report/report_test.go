package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/train"
)

const hostile = `</pre></svg><script>alert(1)</script><img src="http://evil.example/x" onerror='y'>&amp;`

// writeRun makes a run directory of so many steps with a pruning event in the
// middle, every text of which tries to break out.
func writeRun(t *testing.T, dir string, steps int, pruned bool) string {
	t.Helper()
	var lines bytes.Buffer
	for s := 1; s <= steps; s++ {
		r := train.Record{Step: s, Loss: 6/float64(s) + 1, LR: 1e-3, GradNorm: 1, TokensPerS: 1e4, Ms: 100, RSS: 1 << 28, Params: 4000, Tokens: int64(64 * s)}
		if s == 1 {
			r.Memory = &train.Memory{Weights: 1 << 20, Gradients: 1 << 20, Moments: 2 << 20, Activations: 7 << 20, Teacher: 1 << 20}
		}
		if pruned && s > steps/2 {
			r.Params, r.Ms, r.TokensPerS = 2000, 50, 2e4
		}
		if pruned && s == steps/2 {
			r.Pruned = true
			r.Memory = &train.Memory{Weights: 1 << 19, Gradients: 1 << 19, Moments: 1 << 20, Activations: 4 << 20}
			r.Event = &train.Event{Step: s, ParamsBefore: 4000, ParamsAfter: 2000, PlannedFrom: 12 << 20, PlannedTo: 6 << 20, Took: time.Millisecond, Plan: hostile}
		}
		if s%(steps/4) == 0 {
			v := 6/float64(s) + 1.1
			r.ValLoss, r.Samples = &v, []string{"sample " + hostile}
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(text, '\n'))
	}
	lines.WriteString(`{"step": 100000, "lo`) // being written
	plan := coupled.Plan{Version: coupled.PlanVersion, Criterion: hostile, Allocation: "global", Before: 4000, After: 2000, Decisions: []coupled.Decision{
		{Layer: 0, Kind: coupled.QK, Dim: "layer.0.qk", Units: 4, Keep: 2, Kept: [][]int{{0, 1}, {2, 3}}, Scores: [][]float64{{4, 3, 2, 1}, {1, 0, 1e-9, 5}}, Removed: 0.3},
		{Layer: 1, Kind: coupled.Kind(hostile), Dim: "x", Units: 4, Keep: 4, Kept: [][]int{{0, 1, 2, 3}}},
		{Layer: 1, Kind: coupled.FFN, Dim: "layer.1.ffn", Units: 3, Keep: 3, Kept: [][]int{{0, 1, 2}}, Scores: [][]float64{{0, 0, 0}}},
	}}
	var text bytes.Buffer
	if err := coupled.WritePlan(&text, &plan); err != nil {
		t.Fatal(err)
	}
	v := 1.2
	sum, err := json.Marshal(train.Summary{Path: hostile, Threads: 2, Load: 5.25, After: train.Snapshot{Step: steps, Params: 2000, Ms: 50, ValLoss: &v}, Sample: hostile})
	if err != nil {
		t.Fatal(err)
	}
	put := map[string][]byte{"metrics.jsonl": lines.Bytes(), "summary.json": sum, "run.yaml": []byte("out: " + hostile + "\n")}
	if pruned {
		put[fmt.Sprintf("plans/step-%06d.json", steps/2)] = text.Bytes()
	}
	for name, b := range put {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func render(t *testing.T, dirs ...string) string {
	t.Helper()
	var runs []*Run
	for _, d := range dirs {
		r, err := Open(d)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	p, err := New(runs, "1.2.3", Axes{})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var (
	tags     = regexp.MustCompile(`(?s)<style>.*?</style>|<[^>]*>`)
	svgs     = regexp.MustCompile(`(?s)<svg.*?</svg>`)
	fetching = regexp.MustCompile(`(?i)<(script|link|img|iframe|object|embed|image|use|base|form)\b|\b(src|href|srcset|action)\s*=|@import|url\(|ZgotmplZ|NaN|\bInf\b`)
	address  = regexp.MustCompile(`https?://[^"< ]*`)
)

func TestPageStandsAlone(t *testing.T) {
	name := filepath.Join(t.TempDir(), `<i>&"run'`)
	one := writeRun(t, name, 200, true)
	two := writeRun(t, filepath.Join(t.TempDir(), "dense"), 200, false)
	for what, dirs := range map[string][]string{"one": {one}, "several": {one, two, one}, "dense": {two}} {
		html := render(t, dirs...)
		plain := strings.Join(tags.FindAllString(html, -1), "\n") // text may name an address; it is not fetched
		if m := fetching.FindString(plain); m != "" {
			t.Errorf("%s: the page has %q", what, m)
		}
		if strings.Contains(html, "<script") || strings.Contains(html, "<img") || strings.Contains(html, "<i>") {
			t.Errorf("%s: a text of the run is markup", what)
		}
		for _, a := range address.FindAllString(plain, -1) {
			if a != "http://www.w3.org/2000/svg" {
				t.Errorf("%s: the page names %s", what, a)
			}
		}
		n := 0
		for _, svg := range svgs.FindAllString(html, -1) {
			n++
			d := xml.NewDecoder(strings.NewReader(svg))
			var err error
			for err == nil {
				_, err = d.Token()
			}
			if err != io.EOF {
				t.Fatalf("%s: %v in %.300s", what, err, svg)
			}
		}
		if n < 8 {
			t.Errorf("%s: %d pictures", what, n)
		}
		for _, want := range []string{"teacher", "Training loss", "Validation perplexity", "Memory by purpose", "Throughput", "Learning rate", "Gradient norm", "Configuration", "The model writes", "1.2.3"} {
			if !strings.Contains(html, want) {
				t.Errorf("%s: the page lacks %q", what, want)
			}
		}
		if got := strings.Contains(html, "Kept units"); got != (what != "dense") {
			t.Errorf("%s: kept units %v", what, got)
		}
	}
}

func TestFacts(t *testing.T) {
	r, err := Open(writeRun(t, t.TempDir(), 200, true))
	if err != nil {
		t.Fatal(err)
	}
	f := r.Facts()
	if f.Steps != 200 || f.Tokens != 12800 || len(f.Events) != 1 || !f.Finished {
		t.Errorf("%+v", f)
	}
	if want := 100*0.1 + 100*0.05; math.Abs(f.Seconds-want) > 1e-9 {
		t.Errorf("seconds %g, expected %g", f.Seconds, want)
	}
	if f.Before == nil || f.Before.Params != 4000 || f.Before.Ms != 100 || f.Before.Memory.Total() != 12<<20 || f.After.Params != 2000 {
		t.Errorf("before %+v, after %+v", f.Before, f.After)
	}
	if f.BestLoss == nil || math.Abs(*f.BestLoss-(6./200+1.1)) > 1e-12 {
		t.Errorf("best %v", f.BestLoss)
	}
}

func TestWidths(t *testing.T) {
	plans := []Plan{
		{Step: 10, Groups: []Group{{Layer: 0, Kind: coupled.FFN, Lists: 1, Units: 100, Keep: 60}, {Layer: 0, Kind: coupled.QK, Lists: 2, Units: 8, Keep: 8}}},
		{Step: 20, Groups: []Group{{Layer: 0, Kind: coupled.QK, Lists: 2, Units: 8, Keep: 6}}},
		{Step: 30, Groups: []Group{{Layer: 0, Kind: coupled.FFN, Lists: 1, Units: 60, Keep: 25}}},
	}
	w := widths(plans)
	qk, ffn := w.Rows[0].Cells[0], w.Rows[0].Cells[1]
	if qk.Was != 16 || qk.Now != 12 || ffn.Was != 100 || ffn.Now != 25 || ffn.Share != 0.25 {
		t.Errorf("qk %+v, ffn %+v", qk, ffn)
	}
	if len(ffn.Parts) != 3 || ffn.Parts[0].W != 25 || ffn.Parts[1].W != 35 || ffn.Parts[2].W != 40 || ffn.Parts[2].X != 60 {
		t.Errorf("parts %+v", ffn.Parts)
	}
}

func TestFigures(t *testing.T) {
	r, err := Open(writeRun(t, t.TempDir(), 200, true))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	figures, err := Figures([]*Run{r}, Axes{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range figures {
		names[f.Key] = true
		if _, err := f.Encode(f.Key+".png", 300, 200); err != nil {
			t.Errorf("%s: %v", f.Key, err)
		}
	}
	for _, want := range []string{"loss", "perplexity", "memory", "widths"} {
		if !names[want] {
			t.Errorf("no figure %s in %v", want, names)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for want, text := range map[string]string{
		"no complete line":              "",
		"metrics.jsonl:1: invalid":      "x\n",
		"step 1 follows step 2":         `{"step":2}` + "\n" + `{"step":1}` + "\n",
		"metrics.jsonl:1: line longer":  `{"step":1,"x":"` + strings.Repeat("y", maxLine) + `"}` + "\n",
		"metrics.jsonl:1: json: cannot": `{"step":1e400}` + "\n",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "metrics.jsonl"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); !errors.Is(err, ErrRun) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q gives %v, expected %q", text, err, want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrRun) {
		t.Error(err)
	}
}

// TestThinned holds that a long run stays bounded and keeps what matters.
func TestThinned(t *testing.T) {
	thin := thinner{every: 1}
	v := 1.0
	for s := 1; s <= 5*maxRecords; s++ {
		r := train.Record{Step: s}
		if s%50000 == 0 {
			r.ValLoss = &v
		}
		if err := thin.add(r); err != nil {
			t.Fatal(err)
		}
	}
	if len(thin.kept) > maxRecords || len(thin.kept) < maxRecords/4 {
		t.Fatalf("%d records stay", len(thin.kept))
	}
	told := 0
	for i, r := range thin.kept {
		if r.ValLoss != nil {
			told++
		}
		if i > 0 && r.Step <= thin.kept[i-1].Step {
			t.Fatalf("step %d follows %d", r.Step, thin.kept[i-1].Step)
		}
	}
	if told != 6 {
		t.Errorf("%d evaluations stay, expected 6", told)
	}
	r := Run{Name: "long", Steps: thin.kept}
	list, err := charts([]*Run{&r}, Axes{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		for _, k := range c.Curves {
			if len(k.X) > 2*maxPoints || len(k.RawX) > 2*maxPoints {
				t.Errorf("%s is drawn with %d points and %d behind", c.Key, len(k.X), len(k.RawX))
			}
		}
	}
}

// FuzzMetrics holds that no metrics.jsonl makes the page panic, or not finite.
func FuzzMetrics(f *testing.F) {
	f.Add([]byte(`{"step":1,"loss":2}` + "\n" + `{"step":2,"loss":1e308,"ms":-1,"pruned":true}` + "\n"))
	f.Add([]byte(`{"step":1,"loss":-1e308,"rss":-5,"val_loss":1e9,"memory":{"weights":-9}}` + "\n" + `{"step":9223372036854775807,"loss":1e308,"tokens":-1,"grad_norm":1e-320}` + "\n"))
	f.Add([]byte(`{"step":1,"ms":1e308}` + "\n" + `{"step":9223372036854775807,"ms":1e308}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "metrics.jsonl"), text, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Open(dir)
		if err != nil {
			return
		}
		p, err := New([]*Run{r}, "", Axes{})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := p.WriteHTML(&b); err != nil {
			t.Fatal(err)
		}
		if m := regexp.MustCompile(`="[^"]*(NaN|Inf)`).FindString(b.String()); m != "" {
			t.Errorf("the page has %q", m)
		}
		if _, err := json.Marshal(r.Facts()); err != nil {
			t.Error(err)
		}
	})
}

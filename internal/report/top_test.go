package report

import (
	"bytes"
	"strings"
	"testing"
)

// TestTheTopOfThePage: what a newcomer looks for comes before the charts: figures before
// and after, the cost, and what to type next; memory is folded.
func TestTheTopOfThePage(t *testing.T) {
	r, err := Open(writeRun(t, t.TempDir(), 200, true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := New([]*Run{r}, "test", Axes{})
	if err != nil {
		t.Fatal(err)
	}
	p.Next, p.Refresh = []Advice{{"measure it", "ecospa eval <this>"}}, 10
	var b bytes.Buffer
	if err := p.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page, at := b.String(), 0
	for _, want := range []string{`http-equiv="refresh" content="10"`, `class="card tile"`, "steps more", "It took 15.0 s for 200 steps of training on 12.8k tokens", "once", "The machine was busy (load 5.2): times and speeds say little.", "What to type next", "ecospa eval &lt;this&gt;", "Training loss", `<details class="card memory">`, "Memory by purpose"} {
		i := strings.Index(page[at:], want)
		if i < 0 {
			t.Fatalf("the page lacks %q after byte %d", want, at)
		}
		at += i
	}
	p.Refresh = 0
	b.Reset()
	if err := p.WriteHTML(&b); err != nil || strings.Contains(b.String(), `"refresh"`) {
		t.Errorf("a page that is not refreshed says so: %v", err)
	}
}

package jinja

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 7, 9, 5, 0, 0, time.UTC)

// render renders with the values of the golden file.
func render(t testing.TB, source string, raw map[string]json.RawMessage, limits Limits) (Result, error) {
	t.Helper()
	tmpl, err := Parse(source)
	if err != nil {
		return Result{}, err
	}
	values := map[string]any{}
	for name, text := range raw {
		if values[name], err = FromJSON(text); err != nil {
			t.Fatal(err)
		}
	}
	return tmpl.Render(values, noon, limits)
}

type golden struct {
	Values map[string]json.RawMessage
	Cases  []struct {
		Source, Text string
		Error        bool
	}
}

func readGolden(t testing.TB) golden {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// The file was written by scripts/golden_jinja.py.
func TestRendersAsJinja2(t *testing.T) {
	g := readGolden(t)
	if len(g.Cases) < 300 {
		t.Errorf("%d cases in the file", len(g.Cases))
	}
	for _, c := range g.Cases {
		r, err := render(t, c.Source, g.Values, Limits{})
		switch {
		case c.Error && err == nil:
			t.Errorf("%q renders %q, expected an error", c.Source, r.Text)
		case c.Error && strings.Contains(err.Error(), "\n"):
			t.Errorf("%q: the error has several lines: %v", c.Source, err)
		case !c.Error && (err != nil || r.Text != c.Text):
			t.Errorf("%q renders\n%q (%v), expected\n%q", c.Source, r.Text, err, c.Text)
		}
	}
}

func TestGenerationSpans(t *testing.T) {
	r, err := render(t, `{% macro f() %}{% generation %}no{% endgeneration %}{% endmacro %}a{{ f() }}{% for x in [1, 2] %}{% generation %}b{{ x }}{% endgeneration %}c{% endfor %}`, nil, Limits{})
	if err != nil || r.Text != "anob1cb2c" {
		t.Fatalf("%q (%v)", r.Text, err)
	}
	if len(r.Generated) != 2 || r.Text[r.Generated[0].From:r.Generated[0].To] != "b1" || r.Text[r.Generated[1].From:r.Generated[1].To] != "b2" {
		t.Errorf("spans %v of %q", r.Generated, r.Text)
	}
}

// Each of these ends a renderer that has no bounds, or takes hours.
func TestATemplateIsBounded(t *testing.T) {
	start := time.Now()
	for _, source := range []string{
		"{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
		"{% for a in range(100000) %}{% for b in range(1000) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}{% endfor %}",
		"{{ range(10000000000) }}", "{{ range(0, 9223372036854775807, 9223372036854775807)|list|length }}{{ 'a' * 9000000000 }}",
		"{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
		"{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
		"{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s == ns.s }}",
		"{% set ns = namespace(s='aaaa') %}{% for i in range(60) %}{% set ns.s = ns.s|replace('a', 'aaaa') %}{% endfor %}",
		"{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
		"{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "{% macro f(x) %}{% call g(x) %}{% endcall %}{% endmacro %}{% macro g(x) %}{{ f(x) }}{{ caller() }}{% endmacro %}{{ f(1) }}",
		"{% for a in range(3000) %}{{ 'x'|indent(100) }}{{ ('a\n' * 100000)|indent(100) }}{% endfor %}",
		"{% set ns = namespace(s=[]) %}{% for i in range(500) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s|tojson }}",
		"{{ 1" + strings.Repeat("-1", 1000) + " }}",
	} {
		if _, err := render(t, source, nil, Limits{Steps: 300_000, Bytes: 8 << 20}); !errors.Is(err, ErrLimit) {
			t.Errorf("%q: %.100v, expected ErrLimit", source, err)
		}
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("took %v", took)
	}
	for _, source := range []string{
		strings.Repeat("{% if 1 %}", 5000), "{{ " + strings.Repeat("(", 100000), "{{ " + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + " }}",
		"{{ a" + strings.Repeat("[0]", 1000) + " }}", strings.Repeat("x", MaxSource+1), strings.Repeat("{% if 1 %}{% elif 1 %}", 300),
	} {
		if _, err := Parse(source); err == nil || len(err.Error()) > 300 {
			t.Errorf("%.40q...: %.100v, expected a short error", source, err)
		}
	}
}

func TestFromJSONKeepsOrderAndIsBounded(t *testing.T) {
	r, err := render(t, "{{ v }}", map[string]json.RawMessage{"v": json.RawMessage(`{"z":1,"a":[2.5,1e2,12345678901234567890,null,true,"é"]}`)}, Limits{})
	if want := "{'z': 1, 'a': [2.5, 100.0, 1.2345678901234567e+19, None, True, 'é']}"; err != nil || r.Text != want {
		t.Errorf("%s (%v), expected %s", r.Text, err, want)
	}
	for _, bad := range []string{"", "{", "[1,]", `{"a":1} x`, strings.Repeat("[", 200), `{"a"}`} {
		if v, err := FromJSON([]byte(bad)); err == nil {
			t.Errorf("%q is %v", bad, v)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	g := readGolden(f)
	for _, c := range g.Cases {
		f.Add(c.Source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		limits := Limits{Steps: 20000, Bytes: 1 << 20, Depth: 100}
		r, err := render(t, source, g.Values, limits)
		if err == nil && len(r.Text) > limits.Bytes {
			t.Errorf("%d bytes", len(r.Text))
		}
		for _, s := range r.Generated {
			if s.From < 0 || s.From >= s.To || s.To > len(r.Text) {
				t.Errorf("span %v of %d bytes", s, len(r.Text))
			}
		}
	})
}

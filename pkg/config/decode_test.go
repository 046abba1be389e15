package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// sample has a field of every type that run files have.
type sample struct {
	Text   string             `yaml:"text"`
	Count  int                `yaml:"count"`
	Seed   uint64             `yaml:"seed"`
	Rate   float64            `yaml:"rate"`
	Flag   bool               `yaml:"flag"`
	Maybe  *bool              `yaml:"maybe"`
	Names  []string           `yaml:"names"`
	Layers []int              `yaml:"layers"`
	Shares map[string]float64 `yaml:"shares"`
	Inner  inner              `yaml:"inner"`
}

type inner struct {
	Steps  int  `yaml:"steps"`
	Deeper deep `yaml:"deeper"`
}

type deep struct {
	Length int `yaml:"length"`
}

func TestDecode(t *testing.T) {
	yes := true
	for _, r := range []struct {
		name, text string
		set        []string
		want       sample
	}{
		{"empty", "", nil, sample{Count: 7}},
		{"only a comment", "# nothing\n", nil, sample{Count: 7}},
		{"null", "~", nil, sample{Count: 7}},
		{"everything", "text: a b\ncount: -3\nseed: 18446744073709551615\nrate: 1e-3\nflag: true\nmaybe: true\nnames: [a, b]\nlayers: [0, 2]\nshares: {x: 0.5, y: 1}\ninner: {steps: 4, deeper: {length: 5}}\n", nil,
			sample{"a b", -3, 18446744073709551615, 1e-3, true, &yes, []string{"a", "b"}, []int{0, 2}, map[string]float64{"x": 0.5, "y": 1}, inner{4, deep{5}}}},
		{"text that looks like a number", "text: 27000000\n", nil, sample{Count: 7, Text: "27000000"}},
		{"quoted text", "text: \"yes: \\u00e9\"\n", nil, sample{Count: 7, Text: "yes: é"}},
		{"no value where none may be", "maybe:\nnames: null\n", nil, sample{Count: 7}},
		{"whole number as a number", "rate: 3\n", nil, sample{Count: 7, Rate: 3}},
		{"JSON", `{"count": 1, "names": ["x"]}`, nil, sample{Count: 1, Names: []string{"x"}}},
		{"override", "count: 1\ninner: {steps: 2}\n", []string{"inner.steps=3", "inner.deeper.length=4", "count=5"}, sample{Count: 5, Inner: inner{3, deep{4}}}},
		{"the later override", "", []string{"count=1", "count=2"}, sample{Count: 2}},
		{"text as it stands", "", []string{"text=a=b: [c, #"}, sample{Count: 7, Text: "a=b: [c, #"}},
		{"no text", "text: x\n", []string{"text="}, sample{Count: 7}},
		{"a list", "", []string{"layers=[1, 2]", "names=[a]"}, sample{Count: 7, Layers: []int{1, 2}, Names: []string{"a"}}},
		{"no list", "layers: [1]\n", []string{"layers="}, sample{Count: 7}},
		{"no value", "maybe: true\n", []string{"maybe="}, sample{Count: 7}},
		{"a section", "", []string{"inner={steps: 3}"}, sample{Count: 7, Inner: inner{Steps: 3}}},
		{"one key of a map", "shares: {x: 1}\n", []string{"shares.y=2", "shares.x=3"}, sample{Count: 7, Shares: map[string]float64{"x": 3, "y": 2}}},
		{"a map", "shares: {x: 1}\n", []string{"shares={y: 2}"}, sample{Count: 7, Shares: map[string]float64{"y": 2}}},
		{"an exponent", "", []string{"rate=3e-4"}, sample{Count: 7, Rate: 3e-4}},
	} {
		got := sample{Count: 7} // a default
		if err := DecodeWith([]byte(r.text), r.set, &got); err != nil || !reflect.DeepEqual(got, r.want) {
			t.Errorf("%s: %+v, %v; expected %+v", r.name, got, err, r.want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, r := range []struct{ text, want string }{
		{"cuont: 3", `line 1: unknown key "cuont" in the run file, did you mean count? Its keys are count, flag, inner, layers, maybe, names, rate, seed, shares, text`},
		{"\ninner:\n  step: 3", `line 3: unknown key "step" in inner, did you mean inner.steps? Its keys are deeper, steps`},
		{"length: 3", `line 1: unknown key "length" in the run file, did you mean inner.deeper.length?`},
		{"whatever: 3", `line 1: unknown key "whatever" in the run file, expected one of count, flag,`},
		{"inner: {count: 3}", `unknown key "count" in inner, did you mean count?`},
		{"Count: 3", `unknown key "Count"`},
		{"count: 1\nflag: true\ncount: 1", "line 3: count appears twice, first on line 1"},
		{"inner: {steps: 1, steps: 2}", "line 1: inner.steps appears twice, first on line 1"},
		{"shares: {x: 1, x: 2}", "shares.x appears twice"},
		{"count: many", `line 1: count is "many", expected a whole number`},
		{"count: '3'", `line 1: count is the quoted text "3", expected a whole number`},
		{`count: "3"`, `count is the quoted text "3"`},
		{"count: 1.5", `count is "1.5", expected a whole number`},
		{"count: 1e3", `count is "1e3", expected a whole number`},
		{"count: 0x10", `count is "0x10", expected a whole number`},
		{"count: 1_000", `count is "1_000", expected a whole number`},
		{"count: 99999999999999999999", `count is "99999999999999999999", expected a whole number`},
		{"count: 4MB", `count is "4MB", expected a whole number`},
		{"count:", "line 1: count is empty, expected a whole number"},
		{"count: null", `count is "null", expected a whole number`},
		{"count: [1]", "count is a list, expected a whole number"},
		{"count: {a: 1}", "count is a section of keys, expected a whole number"},
		{"count: true", `count is "true", expected a whole number`},
		{"count: !!str 3", `count is "3" with the tag !!str, expected a whole number`},
		{"count: !thing 3", `count is "3" with the tag !thing, expected a whole number`},
		{"count: 2024-01-01", `count is "2024-01-01"`},
		{"seed: -1", `seed is "-1", expected a whole number, 0 or more`},
		{"seed: 1.0", `seed is "1.0", expected a whole number, 0 or more`},
		{"seed: '1'", `seed is the quoted text "1"`},
		{"rate: fast", `rate is "fast", expected a number`},
		{"rate: .nan", `rate is ".nan", expected a number`},
		{"rate: .inf", `rate is ".inf", expected a number`},
		{"rate: -.inf", `rate is "-.inf", expected a number`},
		{"rate: nan", `rate is "nan", expected a number`},
		{"rate: inf", `rate is "inf", expected a number`},
		{"rate: 1e999", `rate is "1e999", expected a number`},
		{"rate: '1'", `rate is the quoted text "1", expected a number`},
		{"rate: 10%", `rate is "10%", expected a number`},
		{"rate: 1,5", `rate is "1,5", expected a number`},
		{"rate:", "rate is empty, expected a number"},
		{"flag: yes", `flag is "yes", expected true or false`},
		{"flag: True", `flag is "True", expected true or false`},
		{"flag: 1", `flag is "1", expected true or false`},
		{"flag: 'true'", `flag is the quoted text "true", expected true or false`},
		{"flag:", "flag is empty, expected true or false"},
		{"maybe: 2", `maybe is "2", expected true or false`},
		{"text: true", `text is "true", expected text`},
		{"text:", "text is empty, expected text"},
		{"text: [a]", "text is a list, expected text"},
		{"text: {a: b}", "text is a section of keys, expected text"},
		{"names: a", `names is "a", expected a list of texts`},
		{"names: [a, [b]]", "names[1] is a list, expected text"},
		{"names: [a, null]", `names[1] is "null", expected text`},
		{"names: {a: 1}", "names is a section of keys, expected a list of texts"},
		{"layers: [1, x]", `layers[1] is "x", expected a whole number`},
		{"layers: 3", `layers is "3", expected a list of whole numbers`},
		{"layers: [0.5]", `layers[0] is "0.5"`},
		{"shares: [1]", "shares is a list, expected a section of numbers"},
		{"shares: 1", `shares is "1", expected a section of numbers`},
		{"shares: {x: half}", `shares.x is "half", expected a number`},
		{"shares: {x: {y: 1}}", "shares.x is a section of keys, expected a number"},
		{"shares: {1: 1}", `shares has a key that is "1", expected a name`},
		{"inner: 3", `inner is "3", expected a section of keys`},
		{"inner: [3]", "inner is a list, expected a section of keys"},
		{"inner:", "inner is empty, expected a section of keys"},
		{"inner:\n  deeper:\n    length: x", `line 3: inner.deeper.length is "x", expected a whole number`},
		{"[1, 2]", "line 1: the run file is a list, expected a section of keys"},
		{"count", `the run file is "count", expected a section of keys`},
		{"3", `the run file is "3"`},
		{"? [a]\n: 1", "the run file has a key that is a list, expected a name"},
		{"1: 2", `has a key that is "1", expected a name`},
		{"true: 2", `has a key that is "true", expected a name`},
		{"<<: {count: 3}", `has a key that is "<<", expected a name`},
		{"null: 1", `has a key that is "null", expected a name`},
		{"inner: &a {steps: 1}\nshares: *a", "line 2: shares is an alias, expected a section of numbers written out"},
		{"count: *a", "unknown anchor"},
		{"count: 1\n---\ncount: 2", "a second document begins here"},
		{"count: 1\n...\n%", "directive name"},
		{"count:\t1\n\tflag: x", "line 2: found"},
		{"count: [1", "did not find expected"},
		{"count: 'x", "found unexpected end of stream"},
		{"a: b: c", "mapping values are not allowed"},
		{"count: 1\n bad", "line "},
		{"\xff\xfe\x00", ""},
		{"count: \x00", "control characters are not allowed"},
		{"count: " + strings.Repeat("9", 1000), `"` + strings.Repeat("9", 60) + `..."`},
		{strings.Repeat("k", 1000) + ": 1", `unknown key "` + strings.Repeat("k", 60) + `..."`},
		{strings.Repeat("[", 20000), ""},
		{strings.Repeat("{a: ", 20000), ""},
		{strings.Repeat("- ", 20000), ""},
		{strings.Repeat("#", maxFile+1), "262145 bytes, expected at most 262144"},
		{"x: &a [1,1]\ny: &b [*a,*a]\nz: &c [*b,*b]\n", "unknown key"},
		{"count: \"a\nb\"", `count is the quoted text "a b"`},
		{"count: |\n  a\n  b\n", `count is "a\nb\n", expected a whole number`},
	} {
		err := DecodeWith([]byte(r.text), nil, new(sample))
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), r.want) {
			t.Errorf("%.40q: %v, expected %s", r.text, err, r.want)
			continue
		}
		if m := err.Error(); strings.Contains(m, "\n") || len(m) > 500 {
			t.Errorf("%.40q: the message is no line: %q", r.text, m)
		}
	}
}

func TestOverrideRefuses(t *testing.T) {
	for _, r := range []struct{ set, want string }{
		{"", `override "": expected KEY.PATH=VALUE`},
		{"count", `override "count": expected KEY.PATH=VALUE`},
		{"=3", `override "=3": expected KEY.PATH=VALUE`},
		{"cuont=3", `override "cuont=3": unknown key "cuont" in the run file, did you mean count?`},
		{"steps=3", `did you mean inner.steps?`},
		{"inner.stepz=3", `unknown key "stepz" in inner, did you mean inner.steps? Its keys are deeper, steps`},
		{"inner.=3", `unknown key "" in inner, expected one of deeper, steps`},
		{".count=3", `unknown key "" in the run file`},
		{"inner..steps=3", `unknown key "" in inner`},
		{"count.x=3", `count is a whole number, it has no key "x"`},
		{"names.0=a", `names is a list of texts, it has no key "0"`},
		{"shares.x.y=1", `shares is a section of numbers, it has no key "x"`},
		{"shares.=1", `shares is a section of numbers, it has no key ""`},
		{"shares.x=half", `override "shares.x=half": shares.x is "half", expected a number`},
		{"shares={x: half}", `shares.x is "half"`},
		{"inner.steps=many", `override "inner.steps=many": inner.steps is "many", expected a whole number`},
		{"inner.steps='3'", `inner.steps is the quoted text "3"`},
		{"inner.steps= ", `inner.steps is " ", expected a whole number`},
		{"count=", "count is empty, expected a whole number"},
		{"flag=yes", `flag is "yes", expected true or false`},
		{"inner=3", `inner is "3", expected a section of keys`},
		{"inner={stepz: 3}", `unknown key "stepz" in inner`},
		{"layers=[1", `layers is "[1", which is not one value in YAML`},
		{"layers=1", `layers is "1", expected a list of whole numbers`},
		{"rate=1\n---\n2", `rate is "1\n---\n2", which is not one value in YAML`},
		{"rate=: :", "rate is"},
		{"rate=.nan", `rate is ".nan", expected a number`},
		{"count=*x", "which is not one value in YAML"},
	} {
		err := DecodeWith(nil, []string{r.set}, new(sample))
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), r.want) {
			t.Errorf("%q: %v, expected %s", r.set, err, r.want)
			continue
		}
		if m := err.Error(); strings.Contains(m, "\n") || strings.Contains(m, "line ") {
			t.Errorf("%q: the message is no line, or names one: %q", r.set, m)
		}
	}
}

// TestOverrideLeavesDefaults: a map that is a default of others is not written to.
func TestOverrideLeavesDefaults(t *testing.T) {
	shared := map[string]float64{"x": 1}
	s := sample{Shares: shared}
	if err := DecodeWith(nil, []string{"shares.y=2"}, &s); err != nil || len(s.Shares) != 2 || len(shared) != 1 {
		t.Errorf("%v, %v, %v", s.Shares, shared, err)
	}
}

func TestEdits(t *testing.T) {
	for _, r := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "abc", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abd", 1}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"abc", "xabc", 1},
		{"layrs", "layers", 1}, {"kitten", "sitting", 3}, {"steps", "stpe", 2}, {strings.Repeat("a", 41), "a", 40},
	} {
		if got := edits(r.a, r.b); got != r.want || edits(r.b, r.a) != r.want {
			t.Errorf("%q to %q: %d and %d edits, expected %d", r.a, r.b, got, edits(r.b, r.a), r.want)
		}
	}
	for _, r := range []struct{ key, want string }{{"cuont", "count"}, {"setps", "steps"}, {"x", ""}, {"zzz", ""}, {"stepss", "steps"}, {"cts", ""}} {
		if got := nearest(r.key, []string{"count", "steps", "text"}); got != r.want {
			t.Errorf("nearest to %q is %q, expected %q", r.key, got, r.want)
		}
	}
}

// FuzzDecode: any bytes and any override give an ErrConfig on one line or a value.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{"count: 3\n", "shares: {x: 1}\n", "inner: {deeper: {length: 3}}\n", "names: [a, b]", "a: &a [*a]", "? x", "!!binary a", "%YAML 1.2\n---\n"} {
		f.Add([]byte(text), "inner.steps=3")
	}
	f.Add([]byte(nil), "shares.x=.5")
	f.Fuzz(func(t *testing.T, text []byte, set string) {
		var s sample
		err := DecodeWith(text, []string{set}, &s)
		if err != nil && (!errors.Is(err, ErrConfig) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("error %q", err)
		}
		var again sample
		if err2 := DecodeWith(text, []string{set}, &again); (err == nil) != (err2 == nil) || !reflect.DeepEqual(s, again) {
			t.Errorf("%+v, %v and then %+v, %v", s, err, again, err2)
		}
	})
}

// TestNamesOfOtherPrograms: a key under its name elsewhere is answered with the one
// here, and every such answer is a key.
func TestNamesOfOtherPrograms(t *testing.T) {
	for text, want := range map[string]string{
		"optim: {lr_warmup_steps: 10}":   "optim.warm_up",
		"train: {global_batch_size: 10}": "train.batch",
		"model: {hidden_size: 64}":       "model.width",
		"model: {n_embd: 64}":            "model.width",
		"learning_rate: 1e-3":            "optim.lr",
		"prune: {sparsity: 0.5}":         "prune.target",
	} {
		_, err := Parse([]byte(text), nil)
		if err == nil || !strings.HasSuffix(err.Error(), "; here it is "+want) {
			t.Errorf("%s: %v, expected %s", text, err, want)
		}
	}
	d := decoder{reflect.TypeFor[Run]()}
	for other, here := range aliases {
		if !d.has(here) || d.has(other) {
			t.Errorf("%s is said to be %s", other, here)
		}
	}
}

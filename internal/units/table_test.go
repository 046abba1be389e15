package units

import (
	"strings"
	"testing"
)

func TestTableFolds(t *testing.T) {
	x := NewTable("name", "what it is")
	x.Add("short", "a few words")
	x.Add("long", strings.Repeat("some words ", 12)+"end")
	want := "name   what it is\n-----  ----------\nshort  a few words\n"
	got := x.String()
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if !strings.HasPrefix(got, strings.Replace(want, "----- ", "----  ", 1)) || len(lines) != 5 || !strings.HasPrefix(lines[4], "       some") && !strings.HasPrefix(lines[4], "       words") {
		t.Errorf("it prints\n%s", got)
	}
	for _, l := range lines {
		if len(l) > Columns {
			t.Errorf("%d columns: %s", len(l), l)
		}
	}
	if one := NewTable("a"); one.String() != "a\n-\n" {
		t.Errorf("an empty table is %q", one.String())
	}
}

func TestFold(t *testing.T) {
	if got := Fold("aaaa bbbb cccc", 70); len(got) != 1 {
		t.Errorf("20 columns are left, but it is %q", got)
	}
	if got := Fold(strings.Repeat("a", 90)+" b", 0); len(got) != 2 || got[1] != "b" {
		t.Errorf("a long word: %q", got)
	}
}

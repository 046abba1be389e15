package units

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// Columns are those of a terminal, which nothing that is laid out goes beyond where it can.
const Columns = 80

// Fold breaks a text at blanks so that it fits after so many columns of others, of which
// it leaves at least 20 to itself. Words longer than that stay whole.
func Fold(text string, after int) []string { return FoldWords(strings.Fields(text), after) }

// FoldWords is Fold of words that may have blanks in them.
func FoldWords(words []string, after int) (lines []string) {
	width := max(20, Columns-after)
	line := ""
	for _, word := range words {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// Table prints rows in aligned columns under a header and a rule. Texts of the last column
// that go beyond a terminal's columns are folded.
type Table struct {
	head []string
	rows [][]string
}

// NewTable is a table without rows.
func NewTable(head ...string) *Table { return &Table{head: head} }

// Add appends a row; values are printed with %v.
func (t *Table) Add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.rows = append(t.rows, row)
}

// Print writes the table to w; an error is w's to keep.
func (t *Table) Print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rule := make([]string, len(t.head))
	for i, h := range t.head {
		rule[i] = strings.Repeat("-", len(h))
	}
	fmt.Fprintln(tw, strings.Join(t.head, "\t"))
	fmt.Fprintln(tw, strings.Join(rule, "\t"))
	before := 0 // columns of all but the last
	for i := range len(t.head) - 1 {
		widest := utf8.RuneCountInString(t.head[i])
		for _, r := range t.rows {
			widest = max(widest, utf8.RuneCountInString(r[i]))
		}
		before += widest + 2
	}
	for _, r := range t.rows {
		last := len(r) - 1
		lines := []string{r[last]}
		if before+utf8.RuneCountInString(r[last]) > Columns {
			lines = Fold(r[last], before)
		}
		fmt.Fprintln(tw, strings.Join(append(slices.Clone(r[:last]), lines[0]), "\t"))
		for _, l := range lines[1:] {
			fmt.Fprintln(tw, strings.Repeat("\t", last)+l)
		}
	}
	tw.Flush()
}

// String is the printed table.
func (t *Table) String() string {
	var b strings.Builder
	t.Print(&b)
	return b.String()
}

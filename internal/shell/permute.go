package shell

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// FlagsFirst moves a command's flags before its positional arguments, since
// urfave/cli stops reading flags at the first of those: "report RUN --out FILE"
// means what it says. What follows "--" stays where it is.
func FlagsFirst(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	c := app.Command(args[1])
	if c == nil || c.ArgsUsage == "" {
		return args
	}
	takes := map[string]bool{} // flags with a value
	for _, f := range c.Flags {
		if d, ok := f.(cli.DocGenerationFlag); ok {
			for _, n := range f.Names() {
				takes[n] = d.TakesValue()
			}
		}
	}
	head := append([]string(nil), args[:2]...)
	var rest []string
	for i := 2; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			rest = append(rest, args[i:]...)
			break
		}
		if a == "-" || !strings.HasPrefix(a, "-") {
			rest = append(rest, a)
			continue
		}
		head = append(head, a)
		if takes[strings.TrimLeft(a, "-")] && i+1 < len(args) {
			i++
			head = append(head, args[i])
		}
	}
	return append(head, rest...)
}

package cmd

import (
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/lab"
)

func benchCompareCommand() *cli.Command {
	return &cli.Command{
		Name:  "compare",
		Usage: "prune a model by several methods, to several sizes, over several seeds: one table and one plot",
		Description: "Every combination is a cell with a result file of its own under OUT/cells, so that an interrupted\n" +
			"comparison resumes where it stopped, and a changed one computes only the cells that changed. Dense models\n" +
			"that do not exist are trained first, as run directories. All losses are on the same held-out windows or images.\n" +
			"Writes OUT/table.md, table.csv, result.json, plot.svg and plot.png.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Required: true, Usage: "comparison `FILE` (YAML)"},
			&cli.StringSliceFlag{Name: "set", Usage: "override a key of the file, `KEY.PATH=VALUE`; may be repeated"},
			&cli.StringFlag{Name: "data", Usage: "text: a .txt, .jsonl or .parquet file, a folder or a glob or images `PATH` (over train.data.path)"},
			&cli.StringFlag{Name: "out", Usage: "`DIR` of the results (over the file's out)"},
			threadsFlag(), jsonFlag(),
		},
		Action: benchCompare,
	}
}

func benchCompare(c *cli.Context) error {
	set := c.StringSlice("set")
	if c.IsSet("data") {
		set = append(set, "train.data.synthetic=", "train.data.path="+c.String("data"))
	}
	if c.IsSet("out") {
		set = append(set, "out="+c.String("out"))
	}
	file, err := config.LoadCompare(c.String("config"), set)
	if err != nil {
		return err
	}
	r, err := lab.Compare(c.Context, file, labEnv(c))
	if errors.Is(err, config.ErrConfig) {
		return fmt.Errorf("%s: %w", c.String("config"), err)
	}
	if err != nil {
		return resumable(err, c.App.ErrWriter)
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, r)
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s\n%d cells (%d made now, in %.0f s); %s/table.md, table.csv, result.json, plot.svg, plot.png\n", r.Markdown(), len(r.Cells), r.Made, r.Seconds, file.Resolve().Out)
	return err
}

// resumable tells an interrupted experiment's user how to resume it.
func resumable(err error, log io.Writer) error {
	if stopped(err) {
		fmt.Fprintln(log, "stopped; the same command resumes")
	}
	return err
}

package cmd

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/kernel"
)

// CompareOptions is what the flags of bench compare say.
type CompareOptions struct {
	Config string   // comparison file
	Set    []string // key.path=value overrides
	Out    string   // over out
	JSON   bool
}

func benchCompareCommand() *cli.Command {
	return &cli.Command{
		Name:  "compare",
		Usage: "prune a model by several methods, to several sizes, over several seeds: one table and one plot",
		Description: "Every combination is a cell with a result file of its own under OUT/cells, so that an interrupted\n" +
			"comparison goes on where it stopped, and a changed one makes only the cells that changed. Dense models\n" +
			"that are not there are trained first, as run directories. All losses are of the same held-out windows or images.\n" +
			"Writes OUT/table.md, table.csv, result.json, plot.svg and plot.png.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Required: true, Usage: "comparison `FILE` (YAML)"},
			&cli.StringSliceFlag{Name: "set", Usage: "override a key of the file, `KEY.PATH=VALUE`; may be repeated"},
			&cli.StringFlag{Name: "data", Usage: "text: a .txt, .jsonl or .parquet file, a folder or a glob or images `PATH` (over train.data.path)"},
			&cli.StringFlag{Name: "out", Usage: "`DIR` of the results (over the file's out)"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			o := CompareOptions{Config: c.String("config"), Set: c.StringSlice("set"), Out: c.String("out"), JSON: c.Bool("json")}
			if c.IsSet("data") {
				o.Set = append(o.Set, "train.data.synthetic=", "train.data.path="+c.String("data"))
			}
			return RunCompare(c.Context, o, c.App.Writer, c.App.ErrWriter)
		},
	}
}

// RunCompare makes the cells that are missing and reports all of them.
func RunCompare(ctx context.Context, o CompareOptions, out, log io.Writer) error {
	if o.Out != "" {
		o.Set = append(o.Set, "out="+o.Out)
	}
	file, err := config.LoadCompare(o.Config, o.Set)
	if err != nil {
		return err
	}
	file = file.Resolve()
	if err := file.Validate(); err != nil {
		return fmt.Errorf("%s: %w", o.Config, err)
	}
	start := time.Now()
	cells, made, err := compareCells(ctx, file, log)
	if stopped(err) {
		fmt.Fprintf(log, "stopped; the same command goes on\n")
	}
	if err != nil {
		return err
	}
	r := tabulate(file, cells)
	r.Made, r.Seconds = made, time.Since(start).Seconds()
	if err := r.write(file.Out); err != nil {
		return err
	}
	if o.JSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "%s\n%d cells (%d made now, in %.0f s); %s/table.md, table.csv, result.json, plot.svg, plot.png\n", r.markdown(), len(cells), r.Made, r.Seconds, file.Out)
	return nil
}

// compareCells makes the cells of a valid comparison that are missing, and returns
// all of them and how many were made.
func compareCells(ctx context.Context, file config.Compare, log io.Writer) (cells []CompareCell, made int, err error) {
	c := &comparison{Compare: file, ctx: ctx, log: log}
	c.pool = kernel.NewPool(file.Train.Train.Threads)
	defer c.pool.Close()
	cells, err = c.run()
	return cells, c.made, err
}

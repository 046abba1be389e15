package cmd

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/lab"
)

func benchCompareCommand() *cli.Command {
	return comparing("compare", "prune a model by several methods, to several sizes, over several seeds: one table and one plot",
		"Every combination is a cell with a result file of its own under OUT/cells, so that an interrupted\n"+
			"comparison resumes where it stopped, and a changed one computes only the cells that changed. Dense models\n"+
			"that do not exist are trained first, as run directories. All losses are on the same held-out windows or images.\n"+
			"Writes OUT/table.md, table.csv, result.json, plot.svg and plot.png.", config.LoadCompare, lab.Compare)
}

func benchFrontierCommand() *cli.Command {
	return comparing("frontier", "compare ways to a small model at equal operations of training: dense, pruned on the way, pruned late",
		"Trains the big dense model, small dense ones, models pruned on the way, the pruned shape from new weights, and models\n"+
			"that are cut late and trained further, each at several learning rates and values of beta2, the best over several seeds.\n"+
			"Every training is a run directory and every result a separate file: an interrupted command resumes where it stopped.\n"+
			"Writes OUT/frontier.md and result.json, of what is finished after each way.", config.LoadFrontier, lab.Frontier)
}

// comparing is a benchmark that a file describes, with a run file in its section train.
func comparing[F any, R lab.Result](name, usage, description string, load func(string, []string) (F, error), make func(context.Context, F, lab.Env) (R, error)) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, Description: description,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Required: true, Usage: "comparison `FILE` (YAML)"},
			&cli.StringSliceFlag{Name: "set", Usage: "override a key of the file, `KEY.PATH=VALUE`; may be repeated"},
			&cli.StringFlag{Name: "data", Usage: "text: a .txt, .jsonl or .parquet file, a folder or a glob or images `PATH` (over train.data.path)"},
			outFlag(), threadsFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			set := c.StringSlice("set")
			if c.IsSet("data") {
				set = append(set, "train.data.synthetic=", "train.data.path="+c.String("data"))
			}
			if c.IsSet("out") {
				set = append(set, "out="+c.String("out"))
			}
			file, err := load(c.String("config"), set)
			if err != nil {
				return err
			}
			r, err := make(c.Context, file, labEnv(c))
			return printLab(c, r, err)
		},
	}
}

package cmd

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/progress"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/lab"
	"github.com/ecospa/ecospa/pkg/run"
)

func benchPaperCommand() *cli.Command {
	return &cli.Command{
		Name:  "paper",
		Usage: "reproduce the paper's claims at a size that fits this machine",
		Description: "First times a few steps and estimates how long it will take. Every run is a run directory under OUT, and every\n" +
			"result is a separate file, so that an interrupted command resumes where it stopped. Writes OUT/paper.md, paper.csv and\n" +
			"result.json, and plots and a report for each row. A row that needs another row's models trains them if they do not exist.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Required: true, Usage: "`FILE` of experiments (YAML)"},
			&cli.StringFlag{Name: "data", Usage: "text: a .txt, .jsonl or .parquet file, a folder or a glob `PATH`"},
			&cli.StringFlag{Name: "other-data", Usage: "another text for fine-tuning, `PATH`"},
			&cli.StringFlag{Name: "images", Usage: "training images: a folder of class folders, a CSV or an IDX file, `PATH`"},
			&cli.StringFlag{Name: "images-test", Usage: "held-out images, `PATH`"},
			outFlag(),
			&cli.StringSliceFlag{Name: "only", Usage: "only this `ROW`; may be repeated"},
			&cli.BoolFlag{Name: "quick", Usage: "a short run that checks that everything works; its figures mean nothing"},
			threadsFlag(), jsonFlag(),
		},
		Action: benchPaper,
	}
}

// dataFlags are the flags that give a row's data.
var dataFlags = map[string]string{"text": "data", "other": "other-data", "images": "images", "images-test": "images-test"}

func benchPaper(c *cli.Context) error {
	file, err := config.LoadPaper(c.String("config"))
	if err != nil {
		return err
	}
	if file.Out = cmp.Or(c.String("out"), file.Out); file.Out == "" {
		return fault.Usage(errors.New("bench paper: give --out DIR"))
	}
	o := lab.PaperOptions{
		Data: c.String("data"), Other: c.String("other-data"), Images: c.String("images"), ImagesTest: c.String("images-test"),
		Out: file.Out, Only: c.StringSlice("only"), Quick: c.Bool("quick"),
	}
	o.Command = func(row string, kinds []string) string {
		s := "ecospa bench paper -c " + c.String("config")
		for _, k := range kinds {
			s += fmt.Sprintf(" --%s %s", dataFlags[k], c.String(dataFlags[k]))
		}
		s += " --out " + file.Out + " --only " + row
		if o.Quick {
			s += " --quick"
		}
		return s
	}
	r, err := lab.Paper(c.Context, file, o, labEnv(c))
	var needs *lab.NeedsError
	if errors.As(err, &needs) {
		return fault.Usage(fmt.Errorf("the row %s needs --%s PATH", needs.Row, dataFlags[needs.Kind]))
	} else if errors.Is(err, lab.ErrRow) {
		return fault.Usage(fmt.Errorf("--only: %w", err))
	}
	return printLab(c, r, err)
}

func outFlag() cli.Flag {
	return &cli.StringFlag{Name: "out", Usage: "`DIR` of the results (over the file's out)"}
}

// printLab prints an experiment's result, or says how an interrupted one resumes.
func printLab(c *cli.Context, r lab.Result, err error) error {
	if stopped(err) {
		fmt.Fprintln(c.App.ErrWriter, "stopped; the same command resumes")
	}
	if err == nil && c.Bool("json") {
		return printJSON(c.App.Writer, r)
	} else if err == nil {
		_, err = fmt.Fprint(c.App.Writer, r.Text())
	}
	return err
}

// labEnv is this program to an experiment.
func labEnv(c *cli.Context) lab.Env {
	log := c.App.ErrWriter
	return lab.Env{
		Version: Version,
		Threads: c.Int("threads"),
		Log:     func(line string) { fmt.Fprintln(log, line) },
		Notify:  func() func(run.Event) { return progress.NewTraining(log).Show },
	}
}

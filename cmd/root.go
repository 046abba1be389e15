package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/mpi"
	"github.com/ecospa/ecospa/internal/shell"
	"github.com/ecospa/ecospa/pkg/run"
)

const exitStatusHelp = `
EXIT STATUS
   0 success, 1 failure, 2 usage or configuration, 3 bad input file, 130 interrupted (the message says whether state was saved)`

// Main runs the command line and ends the process.
func Main() {
	run.UseBLAS()
	// The first signal cancels the context: the step is finished and saved. The
	// handler is then removed, so that another signal ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	context.AfterFunc(ctx, func() { // launchers such as timeout(1) send one signal twice
		time.Sleep(300 * time.Millisecond)
		stop()
	})
	found, err := mpi.Find(os.Getenv, grace)
	r := ranks{found}
	if err != nil {
		fmt.Fprintln(os.Stderr, r.failure(err))
		os.Exit(exitFailure)
	}
	os.Exit(r.leave(runOn(ctx, r, os.Args, os.Stdin, os.Stdout, os.Stderr)))
}

// stopSignals are those that save and end: Ctrl-C, an end that is asked for, and a
// closed terminal, unless nohup has that ignored.
func stopSignals() []os.Signal {
	s := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		s = append(s, syscall.SIGHUP)
	}
	return s
}

// runOn is the whole command line of one rank without the process: it returns the exit
// code.
func runOn(ctx context.Context, r ranks, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		// A panic is a defect of this program, never of its input; it still
		// must not look like a crash of the user's making.
		if p := recover(); p != nil {
			fmt.Fprintf(stderr, "ecospa: internal error: %v (please report this with the lines below)\n%s", p, debug.Stack())
			code = exitFailure
		}
	}()
	out, log := r.outputs(stdout, stderr)
	checked := &output{Writer: out}
	app := newApp(stdin, checked, log)
	app.Metadata = map[string]any{"ranks": r}
	app.Before = r.refuse
	if n := len(args) - 1; n > 0 && args[n] == shell.CompleteFlag {
		hints.Complete(app, args[1:n], out)
		return exitOK
	}
	shell.CheckRequired(app.Commands)
	err := app.RunContext(ctx, shell.FlagsFirst(app, args))
	if err == nil {
		err = checked.err
	}
	if errors.Is(checked.err, syscall.EPIPE) {
		return exitFailure // the reader has left and wants to hear nothing
	}
	if err != nil {
		if r.speaks(ctx, err) {
			fmt.Fprintln(stderr, r.failure(err))
		}
	}
	return exitCode(err)
}

func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:                      "ecospa",
		Usage:                     "train transformers on CPUs and make them smaller, during or after training",
		Version:                   Version,
		Reader:                    stdin,
		Writer:                    stdout,
		ErrWriter:                 stderr,
		HideHelpCommand:           true,
		Flags:                     []cli.Flag{cli.HelpFlag}, // a command named help keeps urfave/cli from adding it
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              onUsageError,
		DisableSliceFlagSeparator: true,
		Suggest:                   false,
		CustomAppHelpTemplate:     cli.AppHelpTemplate + exitStatusHelp + "\n",
		Commands: []*cli.Command{
			pretrainCommand(),
			finetuneCommand(),
			pruneCommand(),
			evalCommand(),
			exportCommand(),
			dataCommand(),
			generateCommand(),
			embedCommand(),
			serveCommand(),
			chatCommand(),
			inspectCommand(),
			reportCommand(),
			configCommand(),
			doctorCommand(),
			benchCommand(),
			completionCommand(),
			manCommand(),
			helpCommand(),
			versionCommand(),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fault.Usage(fmt.Errorf("no subcommand %q; run ecospa --help for the list", c.Args().First()))
			}
			return cli.ShowAppHelp(c)
		},
	}
	shell.AddShorts(app.Commands, shorts)
	for _, c := range app.Commands {
		c.OnUsageError = onUsageError
		c.HideHelpCommand = true
		c.CustomHelpTemplate = cli.CommandHelpTemplate + exitStatusHelp + "\n"
		if len(c.Subcommands) == 0 {
			c.Before = noArguments(c.ArgsUsage)
		}
		beStrict(c)
	}
	shell.AddNice(app.Commands, "pretrain", "finetune", "prune", "eval", "generate", "embed", "export", "serve")
	return app
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	name := c.App.HelpName
	if c.Command != nil && c.Command.HelpName != "" {
		name = c.Command.HelpName
	}
	return fault.Usage(fmt.Errorf("%w; run %s --help for the flags", err, name))
}

// noArguments refuses positional arguments where a command takes none.
func noArguments(argsUsage string) cli.BeforeFunc {
	return func(c *cli.Context) error {
		if argsUsage == "" && c.Args().Present() {
			return fault.Usage(fmt.Errorf("unexpected argument %q: %s takes flags only", c.Args().First(), c.Command.Name))
		}
		return nil
	}
}

package cmd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/serve"
)

// ServeOptions is what the flags of serve say.
type ServeOptions struct {
	Model  string
	Load   serve.LoadOptions
	Server serve.Options
	Listen serve.Listen
	Quiet  bool
}

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "serve a model over OpenAI's HTTP API: completions, chats, log-probabilities, embeddings, a chat page",
		Description: "Clients of OpenAI's API, Open WebUI and lm-evaluation-harness work with http://HOST:PORT/v1 (docs/serve.md). Many\n" +
			"requests run at the same time. SIGTERM lets running requests finish. The access log, one JSON object per request, goes to\n" +
			"standard error; it never contains what clients send.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Aliases: []string{"m"}, Required: true, Usage: "model or run `DIR`, or a .gguf file"},
			&cli.StringFlag{Name: "chat-template", Usage: "`NAME` of a chat template instead of the model's own: alpaca, chatml, plain or zephyr"},
			&cli.StringFlag{Name: "host", Value: "127.0.0.1", Usage: "`ADDRESS` to listen on; 0.0.0.0 accepts other machines"},
			&cli.IntFlag{Name: "port", Value: 8080, Usage: "port `N` to listen on; 0 takes a free one"},
			&cli.StringFlag{Name: "api-key", EnvVars: []string{"ECOSPA_API_KEY"}, Usage: "`KEY` that clients must send; default none"},
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the model in answers; default the directory's"},
			&cli.StringFlag{Name: "kv-memory", Usage: "memory of the key/value cache, `BYTES` such as 512MiB; default enough for 64 texts of 512 tokens"},
			&cli.IntFlag{Name: "batch", Value: 64, Usage: "most texts generated at the same time, `N`"},
			&cli.IntFlag{Name: "queue", Value: 1024, Usage: "most waiting requests, `N`; more get status 429 (try again later)"},
			&cli.StringFlag{Name: "dtype", Value: "f32", Usage: "`TYPE` of the weights in matrix products: f32 or bf16"},
			&cli.BoolFlag{Name: "int8", Usage: "multiply q8_0 weights as integers, as generate does: faster, but log-likelihoods are no longer those of eval"},
			&cli.StringFlag{Name: "tls-cert", Usage: "certificate `FILE` (PEM), with --tls-key"},
			&cli.StringFlag{Name: "tls-key", Usage: "key `FILE` (PEM), with --tls-cert"},
			&cli.DurationFlag{Name: "drain", Value: 30 * time.Second, Usage: "how long running requests may take after SIGTERM, `TIME`"},
			&cli.BoolFlag{Name: "quiet", Usage: "no access log"},
			weightsFlag(),
			threadsFlag(),
		},
		Action: func(c *cli.Context) error {
			o := ServeOptions{
				Model:  c.String("model"),
				Load:   serve.LoadOptions{ID: c.String("name"), Template: c.String("chat-template"), Threads: c.Int("threads"), SchedulerOptions: infer.SchedulerOptions{MaxBatch: c.Int("batch"), Queue: c.Int("queue"), Int8: c.Bool("int8")}},
				Server: serve.Options{APIKey: c.String("api-key")},
				Listen: serve.Listen{Host: c.String("host"), Port: c.Int("port"), Cert: c.String("tls-cert"), Key: c.String("tls-key"), Drain: c.Duration("drain")},
				Quiet:  c.Bool("quiet"),
			}
			weights, err := weightsOf(c)
			if err != nil {
				return err
			}
			o.Load.Weights = weights
			switch c.String("dtype") {
			case "bf16":
				o.Load.BF16 = true
			case "f32":
			default:
				return fault.Usage(fmt.Errorf("--dtype is %q, expected f32 or bf16", c.String("dtype")))
			}
			if s := c.String("kv-memory"); s != "" {
				n, err := coupled.ParseBytes(s)
				if err != nil {
					return fault.Usage(fmt.Errorf("--kv-memory: %w", err))
				}
				o.Load.KVBytes = n
			}
			return RunServe(c.Context, o, c.App.ErrWriter)
		},
	}
}

// RunServe serves until ctx ends; what happens goes to log.
func RunServe(ctx context.Context, o ServeOptions, log io.Writer) error {
	if (o.Listen.Cert == "") != (o.Listen.Key == "") {
		return fault.Usage(fmt.Errorf("--tls-cert and --tls-key go together"))
	}
	if o.Listen.Port < 0 || o.Listen.Port > 65535 || o.Load.MaxBatch < 1 || o.Load.Queue < 1 || o.Load.Threads < 0 {
		return fault.Usage(fmt.Errorf("--port is %d, --batch %d, --queue %d, --threads %d: expected 0 to 65535, and at least 1, 1 and 0", o.Listen.Port, o.Load.MaxBatch, o.Load.Queue, o.Load.Threads))
	}
	if !o.Quiet {
		lines := slog.New(slog.NewJSONHandler(log, nil))
		o.Listen.Log = slog.NewLogLogger(lines.Handler(), slog.LevelWarn)
		o.Server.AccessLog = func(a serve.Access) {
			lines.Info("request", "remote", a.Remote, "method", a.Method, "path", a.Path, "status", a.Status, "bytes", a.Bytes,
				"ms", a.Duration.Milliseconds(), "prompt_tokens", a.Prompt, "tokens", a.Tokens)
		}
	}
	// Clients can connect at once, and are told that the model is being loaded.
	s := serve.New(o.Server)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	where, ended := make(chan string, 1), make(chan error, 1)
	o.Listen.Listening = func(url string) { where <- url }
	go func() { ended <- s.Run(ctx, o.Listen) }()
	select {
	case err := <-ended:
		return err
	case url := <-where:
		fmt.Fprintf(log, "loading %s; listening at %s\n", o.Model, url)
	}
	m, closeModel, err := serve.Load(o.Model, o.Load)
	if err != nil {
		stop()
		<-ended
		return err
	}
	defer closeModel()
	s.Ready(m)
	fmt.Fprintf(log, "ready: %s\n", m)
	return <-ended
}

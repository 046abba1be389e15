package cmd

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/train"
)

// BenchOptions is what the flags of bench step and bench infer say.
type BenchOptions struct {
	Model          string
	Batch, Seq     int
	Steps          int
	Threads        int
	BF16           bool
	QK, VO, FFN    int     // pruned widths; 0 is dense
	Prune          float64 // share of the parameters to keep, by uniform widths; 0 is dense
	Of             string  // what Prune is a share of: all or prunable
	Moments        string  // step: f32 or bf16
	Evidence       bool    // step: gather gate gradients as well
	Versus         bool    // step: the dense model as well
	Wire           string  // step, of several ranks: gradients on the wire, f32 or bf16
	Shard          bool    // step, of several ranks: each keeps the moments of its part
	ranks          ranks   // alone by default
	Last           bool    // infer: the last token's logits only
	Decode         bool    // infer: one token at a time, behind Seq tokens
	JSON           bool
	CPU            string
	recomputeLevel graph.Recompute
	images         bool    // the model reads images; Seq is their tokens
	before         float64 // the rate measured before the steps; see peak
}

// BenchResult has the keys of the PyTorch yardstick's line, and more.
type BenchResult struct {
	Engine    string  `json:"engine"`
	Model     string  `json:"model"`
	Mode      string  `json:"mode"` // train, infer, prefill or decode
	DType     string  `json:"dtype"`
	Params    int     `json:"params"`
	Batch     int     `json:"batch"`
	Seq       int     `json:"seq"`
	Threads   int     `json:"threads"`
	Ms        float64 `json:"ms"`           // median of a step
	PerS      float64 `json:"per_s"`        // tokens or images a second
	Unit      string  `json:"unit"`         // tokens or images
	PeakRSS   int64   `json:"peak_rss_mib"` // MiB
	RSS       int64   `json:"rss_mib"`      // MiB at the end
	MFU       float64 `json:"mfu"`          // FLOPs that the products need over what the measured peak allows in that time
	PeakGF    float64 `json:"peak_gflops"`  // measured, of the type
	GFLOPStep float64 `json:"gflop_step"`
	CPU       string  `json:"cpu"`         // kernels' path
	HeapStep  int64   `json:"heap_step"`   // bytes of Go heap allocated in a step, median; inference: mean
	Planned   int64   `json:"planned_mib"` // MiB by plan
	Widths    [3]int  `json:"widths"`      // of the first layer: q and k, v and o, feed-forward
	// Of decoding: what a token reads, weights and the cache, over what the measured
	// read bandwidth allows in that time.
	ReadGBs   float64 `json:"read_gb_s,omitempty"`
	ReadShare float64 `json:"read_share,omitempty"`
	// Of several ranks: the batch, the rate and the FLOPs are of all of them, threads,
	// peak and memory of rank 0.
	Ranks     int    `json:"ranks,omitempty"`
	Wire      string `json:"wire,omitempty"`            // type of the gradients on it
	WireBytes int64  `json:"wire_bytes_step,omitempty"` // payload that a rank gives to sums and gathers in a step, median; a ring carries 2(N-1)/N of it
	Moments   int64  `json:"moments_bytes,omitempty"`   // of the optimizer, a rank
}

func benchFlags(c *cli.Context) (BenchOptions, error) {
	o := BenchOptions{
		Model: c.String("model"), Batch: c.Int("batch"), Seq: c.Int("seq"), Steps: c.Int("steps"), Threads: c.Int("threads"),
		QK: c.Int("qk-dim"), VO: c.Int("vo-dim"), FFN: c.Int("ffn"), JSON: c.Bool("json"), CPU: c.String("cpu"),
	}
	switch c.String("dtype") {
	case "f32":
	case "bf16":
		o.BF16 = true
	default:
		return o, fault.Usage(fmt.Errorf("--dtype is %q, expected f32 or bf16", c.String("dtype")))
	}
	o.Of = c.String("of")
	if o.Of != "all" && o.Of != "prunable" {
		return o, fault.Usage(fmt.Errorf("--of is %q, expected all or prunable", o.Of))
	}
	if o.Prune = c.Float64("prune"); o.Prune != 0 && (!(o.Prune > 0 && o.Prune <= 1) || o.QK+o.VO+o.FFN > 0) {
		return o, fault.Usage(errors.New("--prune is expected to be above 0 and at most 1, and without --qk-dim, --vo-dim and --ffn"))
	}
	if o.Batch < 1 || o.Seq < 1 || o.Steps < 1 || o.Threads < 0 {
		return o, fault.Usage(errors.New("--batch, --seq and --steps are expected to be at least 1, --threads at least 0"))
	}
	if s := (model.Sizes{Name: o.Model}); s.Images() {
		m, err := model.New(s)
		if err != nil {
			return o, fault.Usage(err)
		}
		if c.IsSet("seq") {
			return o, fault.Usage(fmt.Errorf("--seq does not apply to %s: its images are %d tokens", o.Model, m.Context()))
		}
		o.Seq, o.images = m.Context(), true
	}
	return o, usePath(o.CPU)
}

func benchStepCommand() *cli.Command {
	return &cli.Command{
		Name:  "step",
		Usage: "time whole optimizer steps: forward, backward, clipping, AdamW",
		Flags: append(sizeFlags(),
			&cli.StringFlag{Name: "moments", Value: "f32", Usage: "`TYPE` of AdamW's moments: f32 or bf16"},
			&cli.StringFlag{Name: "wire", Value: train.WireF32, Usage: "on several ranks: `TYPE` of gradients on the wire, f32 or bf16"},
			&cli.BoolFlag{Name: "shard-optimizer", Usage: "on several ranks: each keeps the moments of its part of the parameters"},
			&cli.BoolFlag{Name: "versus-dense", Usage: "time the dense model first, in the same run, and give the ratios of memory and time"},
			&cli.BoolFlag{Name: "evidence-cost", Usage: "alternate steps with and without gathering gate gradients, in pairs, and give the cost"},
			&cli.BoolFlag{Name: "evidence", Usage: "gather the gate gradients as pruning does"},
			&cli.StringFlag{Name: "recompute", Value: "none", Usage: "recompute activations in the backward pass, `LEVEL`: none, light, attention or layer"}),
		Action: func(c *cli.Context) error {
			o, err := benchFlags(c)
			if err != nil {
				return err
			}
			o.Evidence, o.Moments, o.Versus = c.Bool("evidence"), c.String("moments"), c.Bool("versus-dense")
			if o.Moments != "f32" && o.Moments != "bf16" {
				return fault.Usage(fmt.Errorf("--moments is %q, expected f32 or bf16", o.Moments))
			}
			if o.recomputeLevel, err = graph.ParseRecompute(c.String("recompute")); err != nil {
				return fault.Usage(err)
			}
			o.ranks, o.Wire, o.Shard = ranksOf(c), c.String("wire"), c.Bool("shard-optimizer")
			if err := o.checkRanks(c); err != nil {
				return fault.Usage(err)
			}
			if c.Bool("evidence-cost") {
				if o.Versus || o.Evidence {
					return fault.Usage(errors.New("--evidence-cost goes without --evidence and --versus-dense"))
				}
				return RunEvidenceCost(o, c.App.Writer)
			}
			return RunBenchStep(o, c.App.Writer)
		},
	}
}

// checkRanks refuses what does not go with the number of ranks.
func (o BenchOptions) checkRanks(c *cli.Context) error {
	switch n := o.ranks.Size(); {
	case o.Wire != train.WireF32 && o.Wire != train.WireBF16:
		return fmt.Errorf("--wire is %q, expected f32 or bf16", o.Wire)
	case n == 1 && (c.IsSet("wire") || o.Shard):
		return errors.New("--wire and --shard-optimizer are about several ranks: start them with mpirun -np N ecospa bench step")
	case o.Shard && o.Wire == train.WireBF16:
		return errors.New("--wire bf16 does not go with --shard-optimizer: its parts are summed in float32")
	case o.Batch%n != 0:
		return fmt.Errorf("--batch is %d, which %d ranks do not divide", o.Batch, n)
	case n > 1 && c.Bool("evidence-cost"):
		return fmt.Errorf("bench step --evidence-cost runs in one process, not on %d ranks", n)
	}
	return nil
}

// RunBenchStep times training steps on random tokens; with o.Versus the dense
// model's first.
func RunBenchStep(o BenchOptions, out io.Writer) error {
	if !o.Versus {
		r, err := o.step()
		if err != nil {
			return err
		}
		return r.print(o, out)
	}
	full := o
	full.Prune, full.QK, full.VO, full.FFN = 0, 0, 0, 0
	dense, err := full.step()
	if err != nil {
		return err
	}
	pruned, err := o.step()
	if err != nil {
		return err
	}
	v := StepPair{
		Dense: dense, Pruned: pruned,
		Params: float64(pruned.Params) / float64(dense.Params), Time: pruned.Ms / dense.Ms,
		Planned: float64(pruned.Planned) / float64(dense.Planned), Resident: float64(pruned.RSS) / float64(dense.RSS),
	}
	if o.JSON {
		return printJSON(out, v)
	}
	if err := errors.Join(dense.print(o, out), pruned.print(o, out)); err != nil {
		return err
	}
	fmt.Fprintf(out, "pruned over dense: %.3f of the parameters, %.3f of the planned memory, %.3f of the resident, %.3f of the time\n", v.Params, v.Planned, v.Resident, v.Time)
	return nil
}

// StepPair is what bench step --versus-dense prints with --json: two steps of one
// run, and what the second has of the first.
type StepPair struct {
	Dense    BenchResult `json:"dense"`
	Pruned   BenchResult `json:"pruned"`
	Params   float64     `json:"params_ratio"`
	Planned  float64     `json:"planned_ratio"`
	Resident float64     `json:"resident_ratio"` // after the steps, not the peak, which the dense model set
	Time     float64     `json:"time_ratio"`
}

// loop is training with random inputs, its machine made.
func (o BenchOptions) loop(m model.Model, set *param.Set, pool *kernel.Pool) (*train.Loop, error) {
	c, oc := o.training()
	l := train.NewLoop(c, oc, m, set, pool, newNoise(m, o.Batch, o.Seq))
	if err := l.Join(o.ranks.orAlone().Group); err != nil {
		l.Close()
		return nil, fault.Usage(err)
	}
	if o.Evidence {
		l.Watch(coupled.Options{})
	}
	if err := l.Lower(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// step times training steps.
func (o BenchOptions) step() (r BenchResult, err error) {
	m, set, err := o.build()
	if err != nil {
		return r, err
	}
	defer set.Weights.Close()
	g := o.ranks.orAlone()
	if o.Threads == 0 {
		o.Threads = g.threads()
	}
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	o.before = o.peak(pool)
	l, err := o.loop(m, set, pool)
	if err != nil {
		return r, err
	}
	defer l.Close()
	ms, heap, wire := make([]float64, 0, o.Steps), make([]int64, 0, o.Steps), make([]int64, 0, o.Steps)
	var sent int64
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	l.Attach(train.Hook{Name: "bench", Step: func(l *train.Loop) error {
		runtime.ReadMemStats(&now)
		if l.Step > 1 {
			ms = append(ms, l.Last.Ms)
			heap = append(heap, int64(now.TotalAlloc-before.TotalAlloc))
			wire = append(wire, g.Sent()-sent)
		}
		sent = g.Sent()
		runtime.ReadMemStats(&before)
		return nil
	}})
	if err := l.Run(benchContext); err != nil {
		return r, err
	}
	r = o.result("train", set, pool, units.Median(ms), float64(l.Machine().Plan().FLOPs()))
	r.HeapStep, r.Planned = units.Median(heap), l.Memory().Total()>>20
	if g.many() {
		r.Ranks, r.Wire, r.WireBytes, r.Moments = g.Size(), o.Wire, units.Median(wire), l.Memory().Moments
		r.GFLOPStep *= float64(g.Size())
	}
	return r, nil
}

// result fills in what every benchmark of a model reports.
func (o BenchOptions) result(mode string, set *param.Set, pool *kernel.Pool, ms, flops float64) BenchResult {
	r := BenchResult{
		Engine: "ecospa " + Version, Model: o.Model, Mode: mode, DType: "f32", Params: set.Count(), Batch: o.Batch, Seq: o.Seq,
		Threads: pool.Threads(), Ms: ms, Unit: "tokens", GFLOPStep: flops / 1e9, CPU: kernel.CurrentPath(),
	}
	tokens := float64(o.Batch * o.Seq)
	if mode == "decode" || o.images {
		tokens = float64(o.Batch)
	}
	if o.images {
		r.Unit = "images"
	}
	r.PerS = tokens / ms * 1e3
	now, peak := sysmem.Resident() // before the peak's own measurement
	r.PeakRSS, r.RSS = peak>>20, now>>20
	for i, kind := range []string{"qk", "vo", "ffn"} {
		d := set.Dim("layer.0." + kind)
		if r.Widths[i] = d.Size; d.Track {
			r.Widths[i] *= 2 // rotation pairs
		}
	}
	if o.BF16 {
		r.DType = "bf16"
	}
	rate := max(o.before, o.peak(pool))
	r.PeakGF = rate / 1e9
	r.MFU = flops / (ms / 1e3) / rate
	return r
}

// peak is the machine's rate for the type that o asks for, in FLOP/s. It is measured
// before the steps and after them, and the larger one counts: one that another
// program disturbs would flatter the steps.
func (o BenchOptions) peak(pool *kernel.Pool) float64 {
	if o.BF16 {
		return kernel.PeakBF16(pool, 0.3)
	}
	return kernel.PeakFLOPS(pool, 0.3)
}

func (r BenchResult) print(o BenchOptions, out io.Writer) error {
	if o.JSON {
		return printLine(out, r)
	}
	fmt.Fprintf(out, "%s %s %s, %d parameters, batch %d x %d, %d threads, %s: %.1f ms, %.0f %s/s, %.2f of the peak of %.0f GFLOP/s, peak resident %d MiB\n",
		r.Model, r.Mode, r.DType, r.Params, r.Batch, r.Seq, r.Threads, r.CPU, r.Ms, r.PerS, r.Unit, r.MFU, r.PeakGF, r.PeakRSS)
	if r.Ranks > 1 {
		fmt.Fprintf(out, "    %d ranks, %.2f MB of %s gradients a step and rank\n", r.Ranks, float64(r.WireBytes)/1e6, r.Wire)
	}
	if r.ReadShare > 0 {
		fmt.Fprintf(out, "    reads %.2f of what %.1f GB/s allow\n", r.ReadShare, r.ReadGBs)
	}
	return nil
}

// noise is batches of random tokens, or of random images.
type noise struct {
	rng   *rand.Rand
	vocab int
	b     data.Batch
}

// newNoise makes batches of n sequences of seq tokens, or of n images, for a model.
func newNoise(m model.Model, n, seq int) *noise {
	b := data.Batch{N: n}
	if c, ok := m.(model.Classifier); ok {
		b.Pixels, b.Targets = make([]float32, n*c.Image().Size()), make([]int32, n)
	} else {
		b.IDs, b.Targets = make([]int32, n*seq), make([]int32, n*seq)
	}
	return &noise{rand.New(rand.NewPCG(1, 2)), m.Vocab(), b}
}

func (n *noise) Next() (data.Batch, error) { return n.next(), nil }

func (n *noise) next() data.Batch {
	for i := range n.b.Pixels {
		n.b.Pixels[i] = float32(n.rng.NormFloat64())
	}
	for _, ids := range [][]int32{n.b.IDs, n.b.Targets} {
		for i := range ids {
			ids[i] = int32(n.rng.IntN(n.vocab))
		}
	}
	return n.b
}

// timed runs f once to warm up, then n times, and returns the median in milliseconds.
func timed(n int, f func() error) (float64, error) {
	ms, _, err := timedHeap(n, f)
	return ms, err
}

// timedHeap is timed; heap is the Go heap that a call allocated, in bytes, on average.
func timedHeap(n int, f func() error) (ms float64, heap int64, err error) {
	if err := f(); err != nil {
		return 0, 0, err
	}
	each := make([]float64, n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range each {
		start := time.Now()
		if err := f(); err != nil {
			return 0, 0, err
		}
		each[i] = time.Since(start).Seconds() * 1e3
	}
	runtime.ReadMemStats(&after)
	return units.Median(each), int64(after.TotalAlloc-before.TotalAlloc) / int64(n), nil
}

package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/export"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/train"
)

// pruning is one run of prune.
type pruning struct {
	PruneOptions
	log  io.Writer
	src  *loaded
	pool *kernel.Pool
	cal  prune.Sequences
	held data.Tokens
	pics *data.Images // held-out images; nil for text
	norm data.Normalise
	r    PruneResult
}

func preparePrune(o PruneOptions, log io.Writer) (*pruning, error) {
	src, err := openModel(o.From)
	if err != nil {
		return nil, err
	}
	o.ranks = o.ranks.orAlone()
	p := &pruning{PruneOptions: o, log: log, src: src}
	if o.For != "" {
		if err := export.Constrain(o.For, src.m, &p.Config); err != nil {
			return p, fault.Usage(err)
		}
	}
	if err := p.Config.Check(src.set); err != nil {
		return p, fault.Usage(err)
	}
	if c, ok := src.m.(model.Classifier); ok {
		err = p.readImages(c)
	} else {
		err = p.readText()
	}
	if o.Threads == 0 {
		o.Threads = o.ranks.threads()
	}
	p.pool = kernel.NewPool(o.Threads)
	return p, err
}

// readImages takes calibration images, and a tenth at random for the report.
func (p *pruning) readImages(c model.Classifier) error {
	if p.Context != 0 || p.Field != "text" {
		return fault.Usage(errors.New("--context and --field apply to text, the model classifies images"))
	}
	p.Context = c.Context()
	all, n, err := classified(p.Data, c)
	if err != nil {
		return err
	}
	p.norm = n
	calibrate, held := all.Split(0.1, p.Config.Seed)
	if held.Len() == 0 {
		return fault.BadInput(fmt.Errorf("%s has %d images, expected at least 10", p.Data, all.Len()))
	}
	p.pics = held
	p.cal, err = calibrationImages(calibrate, n, c, p.Sequences, p.Config.Seed)
	return fault.BadInput(err)
}

// readText encodes the text: calibration sequences, and its last tenth for the report.
func (p *pruning) readText() error {
	src := p.src
	if err := src.Text(); err != nil {
		return err
	}
	part, err := data.Read(p.Data, data.Options{Field: p.Field})
	if err != nil {
		return fault.BadInput(err)
	}
	if p.Context == 0 {
		p.Context = min(src.m.Context(), 512)
	}
	if p.Context > src.m.Context() {
		return fault.Usage(fmt.Errorf("--context is %d tokens, the model's context is %d", p.Context, src.m.Context()))
	}
	tokens, err := data.Encode(src.tok, part)
	if err != nil {
		return fault.BadInput(err)
	}
	cut := tokens.Cut(0.1)
	p.held = tokens[cut:]
	if p.cal, err = sequences(tokens[:cut], p.Context, p.Sequences, p.Config.Seed); err != nil {
		return fault.BadInput(fmt.Errorf("%s: %w", p.Data, err))
	}
	return nil
}

// sequences are n windows of the tokens, spread by a seeded choice.
func sequences(tokens data.Tokens, context, n int, seed uint64) (prune.Sequences, error) {
	s := prune.Sequences{Context: context, Batch: tokens.Sample(n, context, seed)}
	if s.N < 1 {
		return s, fmt.Errorf("%d tokens do not fill one sequence of %d", len(tokens), context)
	}
	return s, nil
}

func (p *pruning) close() {
	if p.pool != nil {
		p.pool.Close()
	}
	if p.src != nil {
		p.src.root.Close()
		p.src.set.Weights.Close()
	}
}

func (p *pruning) say(format string, args ...any) { fmt.Fprintf(p.log, format+"\n", args...) }

func (p *pruning) run() (*PruneResult, error) {
	p.r.From, p.r.Out, p.r.Context, p.r.MemoryBatch = p.From, p.Out, p.Context, p.MemoryBatch
	var err error
	if p.r.MemoryBefore, err = p.memory(p.src.set.Like()); err != nil {
		return nil, err
	}
	if p.r.Before, err = p.side(); err != nil {
		return nil, err
	}
	pr := &prune.Pruner{
		Calibration: prune.Calibration{Model: p.src.m, Set: p.src.set, Pool: p.pool, Data: p.cal, Ranks: p.ranks.Group},
		Config:      p.Config, Improve: p.Improve, Rounds: p.Rounds, Trial: p.Trial, Uncoupled: p.Uncoupled, Say: p.say,
		Footprint: p.footprint(),
	}
	if p.Plan != "" {
		return p.applyPlan(pr)
	}
	if err := p.afford(pr); err != nil {
		return nil, err
	}
	if p.Scores != "" {
		if pr.Evidence, err = p.loadScores(); err != nil {
			return nil, err
		}
	}
	var res *prune.Result
	if p.DryRun {
		res, err = pr.Plan()
	} else {
		res, err = pr.Run()
	}
	if err != nil {
		if errors.Is(err, coupled.ErrBudget) {
			err = fault.Usage(err)
		}
		return nil, err
	}
	if res.Evidence != nil {
		defer res.Evidence.Close()
	}
	last := res.Plans[len(res.Plans)-1]
	p.r.Trials = res.Trials
	for _, z := range res.Zeros {
		p.r.Zeroed += len(z.Rows)
	}
	after := p.src.set.Like()
	if p.DryRun {
		if err := after.Shrink(last.Cut()); err != nil {
			return nil, err
		}
	}
	if err := p.planned(last, after); err != nil {
		return nil, err
	}
	if p.SaveScores != "" && p.ranks.lead() {
		if err := p.saveScores(res.Evidence); err != nil {
			return nil, err
		}
	}
	if p.DryRun {
		if p.Out != "" && p.ranks.lead() {
			return &p.r, writePlanFile(p.Out, last, p.Force)
		}
		return &p.r, nil
	}
	return p.finish()
}

// applyPlan carries out a plan made earlier. A plan whose units are of another
// basis, or that compensates, needs the calibration that it was made with again.
func (p *pruning) applyPlan(pr *prune.Pruner) (*PruneResult, error) {
	f, err := os.Open(p.Plan)
	if err != nil {
		return nil, fault.BadInput(err)
	}
	defer f.Close()
	plan, err := coupled.ReadPlan(f)
	if err != nil {
		return nil, fault.BadInput(fmt.Errorf("%s: %w", p.Plan, err))
	}
	if err := plan.Validate(p.src.m.Family(), p.src.set); err != nil {
		return nil, fault.BadInput(fmt.Errorf("%s: %w", p.Plan, err))
	}
	if err := pr.Follow(plan); err != nil {
		return nil, err
	}
	if err := p.planned(plan, p.src.set.Like()); err != nil {
		return nil, err
	}
	return p.finish()
}

// finish measures the smaller model and writes it.
func (p *pruning) finish() (*PruneResult, error) {
	after, err := p.side()
	if err != nil {
		return nil, err
	}
	p.r.After = &after
	if !p.ranks.lead() {
		return &p.r, nil
	}
	config, err := p.src.m.Config(p.src.set)
	if err != nil {
		return nil, err
	}
	var tok []byte
	if p.src.tok != nil {
		if tok, err = p.src.tok.JSON(); err != nil {
			return nil, err
		}
	}
	files := checkpoint.Model{Config: config, Tokenizer: tok}.Files(p.src.set, p.src.m.Tensors(p.src.set), p.DType)
	if err := checkpoint.ReplaceDir(p.Out, files); err != nil {
		return nil, err
	}
	_, p.r.PeakRSS = sysmem.Resident()
	return &p.r, nil
}

// side measures the model as it is now.
func (p *pruning) side() (PruneSide, error) {
	s := PruneSide{Params: p.src.set.Count()}
	width := map[string]int64{"F32": 4, "F16": 2, "BF16": 2}[p.DType]
	s.FileBytes = width * int64(s.Params)
	b := graph.NewBuilder(p.src.set, graph.BuildOptions{})
	p.src.m.Decode(b, nil, 1, p.Context, true)
	m, err := b.Lower(graph.LowerOptions{Pool: p.pool})
	if err != nil {
		return s, err
	}
	s.FLOPs = float64(m.Plan().FLOPs()) / float64(p.Context)
	m.Close()
	if p.pics != nil {
		start := time.Now()
		v, err := judgeImages(p.ranks.Group, p.src.m.(model.Classifier), p.src.set, p.pool, p.pics, p.norm, 0, p.EvalTokens)
		s.Loss, s.Top1, s.Top5, s.ImagesPerS = v.Loss, &v.Top1, &v.Top5, float64(v.Tokens)/time.Since(start).Seconds()
		return s, err
	}
	if len(p.held) < 2 {
		return s, fmt.Errorf("%s: the held-out tenth has %d tokens, expected at least 2", p.Data, len(p.held))
	}
	start := time.Now()
	v, err := heldLoss(p.ranks.Group, p.src.m, p.src.set, p.pool, p.held, p.Context, p.EvalTokens)
	s.Loss, s.Perplexity, s.TokensPerS = v.Loss, v.Perplexity(), float64(v.Tokens)/time.Since(start).Seconds()
	return s, err
}

// heldLoss is the loss on the first limit (0: all) of the held-out tokens, of which
// there are at least two, in windows of at most context, dealt out to the ranks.
func heldLoss(g dist.Group, m model.Model, set *param.Set, pool *kernel.Pool, held data.Tokens, context, limit int) (train.Evaluation, error) {
	context = min(context, len(held)-1)
	batch := max(1, min(4096/context, (len(held)-1)/context/g.Size()))
	e, err := train.NewEvaluator(m, set, pool, batch, context, false)
	if err != nil {
		return train.Evaluation{}, err
	}
	defer e.Close()
	return e.RunOn(g, data.Windows(held, batch, context, limit))
}

func (p *pruning) loadScores() (*coupled.Evidence, error) {
	f, err := os.Open(p.Scores)
	if err != nil {
		return nil, fault.BadInput(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fault.BadInput(err)
	}
	e, err := coupled.LoadEvidence(f, st.Size(), p.src.m.Family(), p.src.set, nil)
	if err != nil {
		return nil, fault.BadInput(fmt.Errorf("%s: %w", p.Scores, err))
	}
	return e, nil
}

// saveScores keeps evidence for another prune of the same model; the file is
// complete or absent.
func (p *pruning) saveScores(e *coupled.Evidence) error {
	src, err := openModel(p.From) // the shapes that the evidence was gathered on
	if err != nil {
		return err
	}
	defer src.root.Close()
	return checkpoint.WriteStream(p.SaveScores, func(w io.Writer) error { return e.Save(w, src.m.Family(), src.set) })
}

func writePlanFile(path string, plan *coupled.Plan, force bool) error {
	if _, err := os.Lstat(path); err == nil && !force {
		return fault.Usage(fmt.Errorf("%s is already there; give --force to overwrite it", path))
	}
	return checkpoint.WriteStream(path, func(w io.Writer) error { return coupled.WritePlan(w, plan) })
}

package run

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/chat"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/tokenizer"
	"github.com/ecospa/ecospa/pkg/workload"
)

// images reports whether the run is about images.
func (j *Job) images() bool { return j.work.Unit() == workload.Image }

// input is what was read for a run.
type input struct {
	work  workload.Workload
	tok   tokenizer.Tokenizer // nil for images
	notes []Event
	err   error

	template *chat.Template // that chats are rendered by; nil where there are none
}

// read reads the data for the model of the checkpoint, of the base or of the run
// file, with the tokenizer. When ctx ends first, the reading is abandoned.
func (j *Job) read(ctx context.Context) error {
	c, err := j.classifier()
	if err != nil {
		return err
	}
	done, said := make(chan input, 1), make(chan Event, 1) // an abandoned reading waits for nobody
	b := j.bundle                                          // the job may have given it up when an abandoned reading ends
	go func() {
		defer close(said)
		if c != nil {
			done <- j.readImages(c)
		} else {
			done <- j.readText(b, func(e Event) { said <- e })
		}
	}()
	interrupted := ctx.Done()
	if j.Ranks.many() { // ranks stop together, at a step
		interrupted = nil
	}
	for {
		select {
		case e, more := <-said:
			if !more {
				return j.take(<-done)
			}
			j.tell(e)
		case <-interrupted:
			return &Interrupted{Dir: j.cfg.Out}
		}
	}
}

// take makes what was read the run's.
func (j *Job) take(in input) error {
	for _, e := range in.notes {
		j.tell(e)
	}
	j.work, j.template = in.work, in.template
	if in.err == nil && j.bundle == nil {
		j.bundle = &bundle.Bundle{Path: j.cfg.Out, Tokenizer: in.tok}
	}
	return in.err
}

// readApart reads a stream of texts once more, as versions before documents encoded it,
// and keeps that where it is what a run has recorded.
func (j *Job) readApart(ctx context.Context, recorded uint32) error {
	if _, text := j.work.(*workload.Text); !text || j.cfg.Data.Pack != data.PackStream {
		return nil
	}
	work, notify := j.work, j.Notify
	j.Notify = nil // all has been said
	j.apart = true
	err := j.read(ctx)
	j.Notify = notify
	if err == nil && j.work.Checksum() == recorded {
		j.tell(Note("the text is encoded as by the version that began the run: prompts and documents separately"))
		return nil
	}
	j.work, j.apart = work, false
	return err
}

// classifier is what the run trains when it is a model of images, of sizes that are
// those of the run but for the classes; nil for a model of text.
func (j *Job) classifier() (model.Classifier, error) {
	if j.bundle != nil && j.bundle.Model != nil {
		c, _ := j.bundle.Model.(model.Classifier)
		return c, nil
	}
	if !j.cfg.Model.Images() {
		return nil, nil
	}
	s := j.cfg.Model
	if s.Labels == 0 {
		s.Labels = 1
	}
	m, err := model.New(s)
	if err != nil {
		return nil, fault.Usage(err)
	}
	return m.(model.Classifier), nil
}

// readImages reads the images of the run: for a model that is trained further in its
// own classes and normalisation.
func (j *Job) readImages(c model.Classifier) (in input) {
	p, err := workload.ReadImages(j.cfg.Data, c)
	if err != nil {
		return input{err: err}
	}
	in.work = p
	if j.cfg.From == "" {
		return in
	}
	if j.cfg.Data.Mean != nil {
		in.err = fault.Usage(fmt.Errorf("data.mean and std are for new models, %s has its own", j.cfg.From))
	} else if err := p.As(c, j.cfg.NewClassifier); err != nil {
		in.err = fault.BadInput(fmt.Errorf("%s: %w: %w", j.cfg.Data.Path, ErrClasses, err))
	}
	return in
}

// readText reads the corpus, makes or takes the tokenizer, and encodes. It says once, at most,
// what takes long while it does.
func (j *Job) readText(b *bundle.Bundle, say func(Event)) (in input) {
	if j.cfg.NewClassifier {
		return input{err: fault.Usage(fmt.Errorf("new_classifier is for image models, %s is a text model", j.cfg.From))}
	}
	cache := data.Cache{Dir: cacheDir(j.cfg.Data.Cache), Warn: func(err error) {
		in.notes = append(in.notes, Note(fmt.Sprintf("the cache of encoded text cannot be written (%s): it will be encoded again next time", oneLine(err))))
	}}
	encode := cache.Encode
	switch {
	case j.apart:
		encode = data.EncodeApart
	case cache.Dir == "":
		encode = data.Encode
	}
	own := ""
	if b != nil {
		own = b.ChatTemplate
	}
	if b, err := j.encoder(b); b != nil || err != nil {
		if in.err = err; err == nil {
			in.tok = b.Tokenizer
			in.work, in.err = workload.ReadMasked(j.cfg.Data, b)
		}
		return in
	}
	take := func(training data.Part) (tokenizer.Tokenizer, error) {
		if b == nil {
			return j.newTokenizer(training, say)
		}
		err := b.Text()
		if err == nil && training.Chats() {
			in.template, err = b.SetChat(j.cfg.Data.Template)
		}
		return b.Tokenizer, err
	}
	if j.cfg.Preference.Enabled() {
		j.readPairs(take, &in)
	} else {
		t, tok, err := workload.ReadText(j.cfg.Data, take, func(t tokenizer.Tokenizer, p data.Part) (data.Encoded, error) {
			p.Template = in.template
			return encode(t, p)
		})
		if in.err = err; err == nil {
			in.work, in.tok = t, tok
		}
	}
	if in.template != nil && own == "" {
		name := j.cfg.Data.Template
		if name == "" {
			name = "chatml"
		}
		in.notes = append(in.notes, Note(fmt.Sprintf("%s has no chat template: it is trained with %s, which is saved with it", j.cfg.From, name)))
	}
	if in.err == nil && in.template != nil {
		note, err := b.EndTurns(in.template)
		if in.err = err; note != "" {
			in.notes = append(in.notes, Note(note))
		}
	}
	return in
}

// readPairs reads pairs of answers.
func (j *Job) readPairs(take func(data.Part) (tokenizer.Tokenizer, error), in *input) {
	p, tok, err := workload.ReadPairs(j.cfg.Data, take, func(t tokenizer.Tokenizer, p data.Part) (*data.Pairs, error) {
		p.Template = in.template
		return data.EncodePairs(t, p)
	})
	if in.err = err; err == nil {
		in.work, in.tok = p, tok
	}
}

// encoder is the encoder that the run trains, with its tokenizer: b, or what a new model
// will be; nil for a decoder.
func (j *Job) encoder(b *bundle.Bundle) (*bundle.Bundle, error) {
	if b != nil {
		if _, ok := b.Model.(model.Encoder); !ok && (b.Model != nil || !j.cfg.Model.Encoder()) {
			return nil, nil
		}
		if b.Model != nil {
			return b, nil
		}
	}
	if !j.cfg.Model.Encoder() {
		return nil, nil
	}
	out := &bundle.Bundle{Path: j.cfg.Tokenizer.Path}
	if b != nil {
		out.Tokenizer = b.Tokenizer
	} else if j.cfg.Tokenizer.Path == "" {
		return nil, fault.Usage(fmt.Errorf("model.family %s is trained on masked text: give tokenizer.path, a tokenizer with a [MASK] token", j.cfg.Model.Family))
	} else {
		var err error
		if out.Tokenizer, err = j.cfg.Tokenizer.New(nil); err != nil {
			return nil, fault.Usage(err)
		}
	}
	s := j.cfg.Model
	if s.Vocab == 0 {
		s.Vocab = out.Tokenizer.Vocab()
	}
	s.Context = max(1, s.Context)
	m, err := model.New(s)
	out.Model = m
	return out, fault.Usage(err)
}

// count tells what the documents of the training data became.
func (j *Job) count() error {
	t := j.text()
	if t == nil || !j.Ranks.lead() || !t.Separate() && t.Skipped() == 0 {
		return nil
	}
	c := j.cfg.Train.Context
	e := Counted{Context: c, Skipped: t.Skipped(), Chats: t.Chats(), Limited: t.Limited()}
	var err error
	if p, ok := j.work.(*workload.Pairs); ok {
		training, _ := p.Fitted(c)
		e.Pairs, e.Limited.Documents = true, training.Dropped
		e.Packing, err = p.Packing(c)
	} else {
		e.Packing, err = t.Packing(c)
	}
	if err == nil {
		j.tell(e)
	}
	return err
}

// cacheDir is where encoded text is kept: what the run file says, or a folder of the
// user's cache directory; empty where the system has none.
func cacheDir(named string) string {
	if named != "" {
		return named
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "ecospa", "tokens")
}

// newTokenizer is the tokenizer of a new model: that of prepared data, of the file that the run
// file names, or one that is trained on the text.
func (j *Job) newTokenizer(training data.Part, say func(Event)) (tokenizer.Tokenizer, error) {
	if training.Chats() {
		return nil, fault.Usage(fmt.Errorf("%s holds chats, on which only trained models are fine-tuned: use ecospa finetune", j.cfg.Data.Path))
	}
	if p := training.Prepared(); p != nil && j.cfg.Tokenizer.Path == "" {
		t, err := tokenizer.Open(p.TokenizerPath())
		if err == nil {
			t = tokenizer.WithEnds(t, t.EOS(), p.End)
		}
		return t, fault.BadInput(err)
	}
	if training.Shards != nil && j.cfg.Tokenizer.Path == "" && j.cfg.Tokenizer.Train != "bytes" {
		return nil, fault.Usage(fmt.Errorf("%s holds token ids: give tokenizer.path, the tokenizer that made them", j.cfg.Data.Path))
	}
	text := training.Text()
	if c := j.cfg.Tokenizer; c.Path == "" && c.Train == "bpe" {
		say(Note(fmt.Sprintf("training a BPE tokenizer of %d ids on %s of text", c.Vocab, units.Bytes(int64(len(text))))))
	}
	t, err := j.cfg.Tokenizer.New(text)
	return t, fault.Usage(err)
}

// resolve fills in what depends on model and data, and holds the result against the
// run that is gone on from.
func (j *Job) resolve(saved *state) (err error) {
	c := &j.cfg.Train
	if j.resuming && c.Context == 0 {
		c.Context = j.previous.Train.Context
	}
	if j.resuming && c.EvalEvery == 0 {
		c.EvalEvery = j.previous.Train.EvalEvery
	}
	if c.Context == 0 {
		c.Context = j.defaultContext()
	}
	if c.Epochs > 0 { // the run file in the directory says the steps that they are
		n, err := j.work.Sequences(c.Context)
		if err != nil {
			return err
		}
		c.Steps = max(1, int(math.Ceil(c.Epochs*float64(n)/float64(c.Batch))))
		c.Epochs = 0
	}
	*c = c.Resolve(c.Context)
	if j.resuming {
		if err := j.compareData(saved); err != nil {
			return err
		}
	}
	if err := j.ranksAgree(); err != nil {
		return err
	}
	if j.batches, err = j.work.Batches(c.Batch, c.Context, data.Cursor{Seed: c.Seed}); err != nil || saved != nil || j.cfg.Data.Prompt == "" && j.template == nil {
		return err
	}
	if err := j.checkTargets(); err != nil {
		return fault.BadInput(err)
	}
	return j.batches.Seek(data.Cursor{Seed: c.Seed})
}

// checkTargets reports the first batch of the run that has nothing to learn: all of
// it is prompts. One pass over the data is looked at.
func (j *Job) checkTargets() error {
	c := j.cfg.Train
	n, err := j.work.Sequences(c.Context)
	if err != nil {
		return err
	}
	pass := (n + c.Batch - 1) / c.Batch
	for step := range min(c.Steps, pass) {
		b, err := j.batches.Next()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(b.Targets, func(id int32) bool { return id >= 0 }) {
			return fmt.Errorf("%s: the batch of step %d has no token to predict, all %d belong to prompts: make train.context longer than the prompts, or train.batch larger", j.cfg.Data.Path, step+1, len(b.Targets))
		}
	}
	return nil
}

// compareData holds the configuration against the interrupted run's. Data under
// another name are no change when they are the same.
func (j *Job) compareData(saved *state) error {
	now := j.cfg
	same := saved != nil && saved.Data == j.work.Checksum()
	if same {
		now.Data.Path = j.previous.Data.Path
	}
	changes, err := j.compare(now)
	if err != nil {
		return err
	}
	for _, c := range changes {
		j.tell(Changed{c})
		j.otherData = j.otherData || strings.HasPrefix(c.Key, "data.")
	}
	if j.cfg.Data.Path != j.previous.Data.Path && same {
		j.tell(Note(fmt.Sprintf("data.path is %s now; the training data are the same", j.cfg.Data.Path)))
	}
	return nil
}

// defaultContext is the tokens of a sequence when the train section does not say.
func (j *Job) defaultContext() int {
	if j.bundle.Model != nil {
		if j.images() {
			return j.bundle.Model.Context()
		}
		return min(j.bundle.Model.Context(), 256)
	}
	if c, err := j.classifier(); err == nil && c != nil {
		return c.Context()
	}
	if j.cfg.Model.Context > 0 {
		return j.cfg.Model.Context
	}
	return 256
}

// floor is the validation text's own entropy in nats a token; NaN where it is not known.
func (j *Job) floor() float64 {
	if j.images() {
		return math.NaN()
	}
	return j.work.Floor()
}

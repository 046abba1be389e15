package data

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/chat"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// PrepareOptions says what Prepare does. The zero value of a number is its default.
type PrepareOptions struct {
	Path    string // files, as Read takes them
	Out     string // folder of the shards, which must not hold a prepared corpus
	Options        // how files become documents
	Force   bool   // replace the prepared corpus in the folder

	Tokenizer tokenizer.Tokenizer
	Template  *chat.Template // for records that are chats; nil where there can be none
	Workers   int            // texts encoded at a time; default one a core
	Shard     int            // tokens of a shard at most, but for longer documents; default 1<<27
	// Progress is told now and then how far the reading is; may be nil.
	Progress func(PrepareProgress)
}

// PrepareProgress is how far a preparation is.
type PrepareProgress struct {
	Files, Of int   // files that were read, of all
	Size      int64 // bytes of all files
	// Read is how many of them are behind, at least by the text that came of the file at hand:
	// a compressed one has more text than bytes.
	Read      int64
	Bytes     int64 // of text, encoded
	Documents int
	Tokens    int
}

// Prepare encodes files once, into shards that a run maps. The memory that it takes does
// not grow with the text: documents are read one after the other, encoded in parallel and
// written in their order, so that the shards do not depend on the number of workers. Errors say
// whether the files are at fault (package fault), or what was to be written failed.
func Prepare(ctx context.Context, o PrepareOptions) (*Prepared, error) {
	if err := o.Check(""); err != nil {
		return nil, err
	}
	files, err := expand(o.Path)
	if err != nil {
		return nil, fault.BadInput(err)
	}
	if err := o.clear(); err != nil {
		return nil, err
	}
	sum, text, err := tokenizerSum(o.Tokenizer)
	if err != nil {
		return nil, err
	}
	w := newPreparing(ctx, o, files)
	err = w.run()
	if err != nil {
		return nil, err
	}
	p := &Prepared{
		Version: preparedVersion, Tokenizer: sum, Vocab: o.Tokenizer.Vocab(), End: tokenizer.DocumentEnd(o.Tokenizer), Pack: w.part.Pack,
		Chats: w.part.chats, Skipped: w.part.Skipped, TextBytes: w.done.Bytes, Tokens: w.out.tokens, Documents: w.out.count, Shards: w.out.written, dir: o.Out,
	}
	if p.Chats {
		p.Template = o.Template.Source()
	}
	for _, s := range p.Shards {
		p.Learned += s.Learned
	}
	about, err := json.MarshalIndent(p, "", "  ")
	if err == nil {
		err = os.WriteFile(p.TokenizerPath(), text, 0o644)
	}
	if err == nil { // the last: without it the folder holds no corpus
		err = os.WriteFile(filepath.Join(o.Out, preparedFile), append(about, '\n'), 0o644)
	}
	return p, err
}

// clear makes the folder, and removes what an earlier preparation left there.
func (o PrepareOptions) clear() error {
	if IsPrepared(o.Out) && !o.Force {
		return fault.BadInput(fmt.Errorf("%s holds a prepared corpus already", o.Out))
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(o.Out)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == preparedFile || name == tokenizerFile || strings.HasSuffix(name, shardSuffix):
			if err := os.Remove(filepath.Join(o.Out, name)); err != nil {
				return err
			}
		default:
			return fault.BadInput(fmt.Errorf("%s holds %s, expected an empty folder", o.Out, name))
		}
	}
	return nil
}

// jobBytes is about how much text is encoded at a time.
const jobBytes = 256 << 10

// job is documents, or a part of one, that a worker encodes.
type job struct {
	tasks []func() (encodedDocument, error)
	bytes int
	done  chan struct{}
	out   []encodedDocument
	err   error
}

// preparing is a Prepare under way.
type preparing struct {
	PrepareOptions
	ctx         context.Context
	cancel      context.CancelCauseFunc
	part        Part
	out         *shardWriter
	front, back []int32
	done        PrepareProgress
	files       []source
	sizes       []int64      // of files
	read        atomic.Int32 // files
	behind      int64        // bytes of them, when somebody was told last
	before      int64        // bytes of text that they gave, about
	now         *job
	jobs        chan *job // to workers, and
	ordered     chan *job // to the writer, in the order of the text
}

func newPreparing(ctx context.Context, o PrepareOptions, files []source) *preparing {
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Shard == 0 {
		o.Shard = 1 << 27
	}
	w := &preparing{PrepareOptions: o, files: files, part: Part{Pack: o.Pack}}
	for _, f := range files {
		size := int64(0)
		if st, err := os.Stat(f.path); err == nil { // else reading it says what is wrong
			size = st.Size()
		}
		w.sizes, w.done.Size = append(w.sizes, size), w.done.Size+size
	}
	w.done.Of = len(files)
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.front, w.back = o.Tokenizer.Template()
	w.jobs, w.ordered = make(chan *job, 2*o.Workers), make(chan *job, 2*o.Workers)
	w.part.sink = w.document
	end := tokenizer.DocumentEnd(o.Tokenizer)
	for _, id := range w.back {
		if id == end {
			end = -1
		}
	}
	w.out = &shardWriter{dir: o.Out, vocab: o.Tokenizer.Vocab(), most: o.Shard, front: len(w.front) > 0, back: len(w.back) > 0, end: end}
	return w
}

// run reads, encodes and writes.
func (w *preparing) run() error {
	for range w.Workers {
		go func() {
			for j := range w.jobs {
				j.run()
			}
		}()
	}
	written := make(chan error, 1)
	go func() { written <- w.write() }()
	err := fault.BadInput(w.readAll())
	if err == nil {
		err = w.flush()
	}
	close(w.jobs)
	close(w.ordered)
	if werr := <-written; werr != nil { // of which what the reader met comes
		err = werr
	}
	if err == nil && w.out.count == 0 {
		err = fault.BadInput(fmt.Errorf("%w: %s has no text", ErrFormat, w.Path))
	}
	return err
}

func (j *job) run() {
	defer close(j.done)
	for _, task := range j.tasks {
		d, err := task()
		if err != nil {
			j.err = err
			return
		}
		j.out = append(j.out, d)
	}
}

// readAll gives the documents of all files to the workers.
func (w *preparing) readAll() error {
	for i, f := range w.files {
		r, err := f.reader()
		if err != nil {
			return err
		}
		if r.Plain {
			err = w.plain(f, r)
		} else {
			err = w.part.read(f, w.Options)
		}
		if err != nil {
			return err
		}
		w.read.Store(int32(i + 1))
	}
	return nil
}

// document is the sink of records.
func (w *preparing) document(document, prompt []byte, place string) error {
	chats := w.part.chats
	return w.add(len(document)+len(prompt), func() (encodedDocument, error) {
		if chats {
			if w.Template == nil {
				return encodedDocument{}, fmt.Errorf("%w: %s: it holds chats, and there is no chat template: give a model that has one, or a template", ErrFormat, place)
			}
			p := Part{Template: w.Template, format: w.Format}
			ids, marks, err := p.encodeChat(w.Tokenizer, document, place)
			return encodedDocument{ids: ids, marks: marks, begins: true, ends: true}, err
		}
		e := encoder{t: w.Tokenizer, front: w.front, back: w.back, end: -1}
		given := e.append(prompt, document)
		return encodedDocument{ids: e.ids, given: given, begins: true, ends: true}, nil
	})
}

// add gives a task to the workers, with others.
func (w *preparing) add(bytes int, task func() (encodedDocument, error)) error {
	if w.now == nil {
		w.now = &job{done: make(chan struct{})}
	}
	w.now.tasks, w.now.bytes = append(w.now.tasks, task), w.now.bytes+bytes
	if w.now.bytes < jobBytes && len(w.now.tasks) < 4096 {
		return nil
	}
	return w.flush()
}

func (w *preparing) flush() error {
	j := w.now
	w.now = nil
	if j == nil {
		return context.Cause(w.ctx)
	}
	for _, to := range []chan *job{w.jobs, w.ordered} {
		select {
		case to <- j:
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		}
	}
	return nil
}

// write writes what was encoded, in order.
func (w *preparing) write() (err error) {
	defer func() {
		if err != nil {
			w.out.abandon()
			w.cancel(err)
		}
	}()
	for j := range w.ordered {
		select {
		case <-j.done:
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		}
		if err = fault.BadInput(j.err); err != nil {
			return err
		}
		for _, d := range j.out {
			if w.out.width == 0 {
				w.out.width = widthOf(w.out.vocab, d)
			}
			if err = w.out.add(d); err != nil {
				return err
			}
		}
		w.done.Bytes += int64(j.bytes)
		w.done.Documents, w.done.Tokens = w.out.count, w.out.tokens
		if w.Progress != nil {
			w.Progress(w.progress())
		}
	}
	if err = context.Cause(w.ctx); err == nil {
		err = w.out.close()
	}
	return err
}

// progress is how far it is.
func (w *preparing) progress() PrepareProgress {
	p := w.done
	if n := int(w.read.Load()); n > p.Files {
		for _, size := range w.sizes[p.Files:n] {
			w.behind += size
		}
		w.done.Files, w.before = n, p.Bytes
	}
	p.Files, p.Read = w.done.Files, w.behind
	if p.Files < p.Of {
		p.Read += min(w.sizes[p.Files], p.Bytes-w.before)
	}
	return p
}

// widthOf is the bytes of a token: chats say in each whether it is predicted.
func widthOf(vocab int, d encodedDocument) int {
	if d.marks == nil && vocab <= 1<<16 {
		return 2
	}
	return 4
}

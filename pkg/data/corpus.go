package data

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/ecospa/ecospa/pkg/chat"
)

// ErrFormat is returned when a data file is not what it should be; the message
// names the file and the place.
var ErrFormat = errors.New("data: bad file")

// Part is one part of a corpus.
type Part struct {
	Documents [][]byte
	Prompts   [][]byte // before each document, not predicted; nil for none
	// Template renders documents that are chats, see Chats; Encode needs it for them.
	Template *chat.Template
	Shards   *Shards // instead of documents: token ids from .bin files, or a prepared corpus
	Pack     string  // how documents become sequences: PackDocuments or PackStream
	Skipped  int     // records without a text (empty or null) or without an answer (chats), which are not in Documents
	// Entropy is the information of the part in nats, where the generator
	// knows it; NaN for files.
	Entropy float64

	plain    bool         // there were texts, in which separators are looked for
	cuts     int          // separators that were found
	places   []string     // of documents that are chats: where each stands; nil for texts
	format   string       // of chats, see chat.Parse
	ids      []*shardFile // files of token ids
	prepared *Prepared    // nil for files of others
	count    int          // documents that were found
	chats    bool         // they are chats
	pairs    bool         // of pairs of answers, see chat.ParsePair
	sink     sink         // takes them; nil keeps them here
}

// sink takes a document, what stands before it and is not predicted, and where it stands.
type sink func(document, prompt []byte, place string) error

// put keeps a document, or gives it to the sink.
func (p *Part) put(document, prompt []byte, place string) error {
	p.count++
	if p.sink != nil {
		return p.sink(document, prompt, place)
	}
	p.Documents = append(p.Documents, document)
	if p.chats {
		p.places = append(p.places, place)
	}
	if prompt != nil {
		p.Prompts = append(p.Prompts, prompt)
	}
	return nil
}

// Bytes is the length of the documents together.
func (p Part) Bytes() int {
	n := 0
	for _, d := range p.Documents {
		n += len(d)
	}
	return n
}

// Text is the documents one after the other.
func (p Part) Text() []byte { return bytes.Join(p.Documents, nil) }

// Corpus is what is learned and what is held out.
type Corpus struct{ Train, Validation Part }

// Load reads or generates the corpus of a valid configuration.
func Load(c Config) (Corpus, error) {
	if c.Synthetic != "" {
		return loadStories(c)
	}
	o := c.options()
	all, err := Read(c.Path, o)
	if err != nil {
		return Corpus{}, err
	}
	if c.ValidationPath != "" {
		held, err := Read(c.ValidationPath, o)
		return Corpus{all, held}, err
	}
	train, held := all.Split(c.Validation)
	return Corpus{train, held}, nil
}

// loadStories generates stories and splits them at a story's end. The stories
// of a part are one document.
func loadStories(c Config) (Corpus, error) {
	size, err := c.bytes()
	if err != nil {
		return Corpus{}, err
	}
	stories, nats := Stories(size, c.Seed)
	k := len(stories) - int(math.Round(c.Validation*float64(len(stories))))
	part := func(lo, hi int) Part {
		p := Part{Documents: [][]byte{[]byte(strings.Join(stories[lo:hi], ""))}, Pack: PackStream}
		for _, n := range nats[lo:hi] {
			p.Entropy += n
		}
		return p
	}
	return Corpus{part(0, k), part(k, len(stories))}, nil
}

// Split holds out the last share of the documents' bytes: of a stream at a character's
// end, else whole documents, unless there is one only.
func (p Part) Split(share float64) (train, held Part) {
	train, held = p, p
	if p.Shards != nil {
		n := p.Shards.Cut(share)
		train.Shards, held.Shards = p.Shards.Part(0, n).(*Shards), p.Shards.Part(n, p.Shards.Len()).(*Shards)
		return train, held
	}
	train.Documents, train.Prompts, train.places = nil, nil, nil
	held.Documents, held.Prompts, held.places = nil, nil, nil
	whole := p.Prompts != nil || p.Chats() || p.Pack == PackDocuments && len(p.Documents) > 1
	left := p.Bytes() - int(share*float64(p.Bytes()))
	for i, d := range p.Documents {
		at := max(0, min(left, len(d)))
		for at > 0 && at < len(d) && !utf8.RuneStart(d[at]) {
			at--
		}
		if whole && at < len(d) {
			at = 0
		}
		if at > 0 {
			train.add(p, i, d[:at])
		}
		if at < len(d) {
			held.add(p, i, d[at:])
		}
		left -= len(d)
	}
	return train, held
}

// Head is the first n bytes of the documents, up to a character's end: the whole ones among
// those with prompts and chats, at least one.
func (p Part) Head(n int) Part {
	head, whole := p, p.Prompts != nil || p.Chats()
	head.Documents, head.Prompts, head.places = nil, nil, nil
	for i, d := range p.Documents {
		at := min(n, len(d))
		switch {
		case whole && at < len(d) && i > 0:
			return head
		case whole:
			at = len(d)
		}
		for at > 0 && at < len(d) && !utf8.RuneStart(d[at]) {
			at--
		}
		if n -= len(d); at > 0 {
			head.add(p, i, d[:at])
		}
		if n <= 0 {
			break
		}
	}
	return head
}

// add appends text of document i of another part, with its prompt.
func (p *Part) add(from Part, i int, text []byte) {
	p.Documents = append(p.Documents, text)
	if from.Prompts != nil {
		p.Prompts = append(p.Prompts, from.Prompts[i])
	}
	if from.places != nil {
		p.places = append(p.places, from.places[i])
	}
}

// Options says how files become documents.
type Options struct {
	Field     string // that holds the text, of records that have fields; "" is text
	Prompt    string // that holds what stands before the text and is not predicted; "" for none
	Separator string // line between the documents of a plain text; "" for none
	Pack      string // documents or stream; "" is as the files' reader has it
	Format    string // of records: text, or a format of chats (chat.Formats); "" is text where the records have the field, else as the keys say
	Pairs     bool   // records are pairs of a chosen and a rejected answer, see EncodePairs
	Template  string // of chats: one of chat.Named for a model without a template, or instead of its own; "" is its own
}

// Read reads the documents at path: a file, a folder or a glob, whose files are sorted
// by name. Each is read by what its extension says (Extensions); in a folder they must be
// regular files, or links to such in it. Token ids (.bin) and texts do not mix.
func Read(path string, o Options) (Part, error) {
	p := Part{Pack: o.Pack, Entropy: math.NaN()}
	if IsPrepared(path) {
		return p, p.openPrepared(path, o)
	}
	files, err := expand(path)
	if err != nil {
		return p, err
	}
	for _, f := range files {
		if err := p.read(f, o); err != nil {
			return p, err
		}
	}
	if p.ids != nil {
		p.Shards, err = joinTokenFiles(p.ids)
		return p, err
	}
	switch {
	case p.Bytes() == 0 && p.Skipped > 0 && !p.plain:
		return p, fmt.Errorf("%w: %s: none of its %d records has a text, of a chat an answer, or of a pair two different answers", ErrFormat, path, p.Skipped)
	case p.Bytes() == 0:
		return p, fmt.Errorf("%w: %s is empty", ErrFormat, path)
	case o.Separator != "" && p.plain && p.cuts == 0:
		return p, fmt.Errorf("%w: %s: no line of it is the separator %q", ErrFormat, path, o.Separator)
	case o.Template != "" && !p.Chats():
		return p, fmt.Errorf("%w: %s holds no chats, and the template %s is for chats", ErrFormat, path, o.Template)
	}
	return p, nil
}

// read appends a file.
func (p *Part) read(s source, o Options) error {
	r, err := s.reader()
	if err != nil {
		return err
	}
	f, err := s.open()
	if err != nil {
		return err
	}
	keep := false
	defer func() {
		if !keep {
			f.Close()
		}
	}()
	switch {
	case r.Tokens != nil:
		err = p.readTokens(f, s.path, r, o)
		keep = err == nil
	case o.Pairs:
		err = p.readPairs(f, s, r)
	case o.chats() || p.chats:
		err = p.readChats(f, s, r, o, nil)
	default:
		err = p.readRecords(f, r, o)
	}
	var lacks missingField
	if o.auto() && p.count == 0 && errors.As(err, &lacks) {
		if _, back := f.Seek(0, io.SeekStart); back == nil { // no pipe
			err = p.readChats(f, s, r, o, err)
		}
	}
	var system *fs.PathError
	if err != nil && !errors.As(err, &system) {
		if strings.Contains(err.Error(), "\n") {
			err = errors.New(strings.ReplaceAll(err.Error(), "\n", " "))
		}
		err = fmt.Errorf("%w: %s: %w", ErrFormat, s.path, err)
	}
	if o.Pack == "" && (p.Pack == "" || r.Pack == PackDocuments) {
		p.Pack = r.Pack
	}
	if o.Pack == "" && r.Plain && o.Separator != "" {
		p.Pack = PackDocuments
	}
	return err
}

func (p *Part) readTokens(f *os.File, path string, r Reader, o Options) error {
	if o.Prompt != "" {
		return errors.New("it holds tokens, which have no prompts")
	}
	if o.chats() {
		return fmt.Errorf("it holds tokens, expected chats of the format %s", o.Format)
	}
	if p.count > 0 {
		return errors.New("it holds tokens, and files before it hold text")
	}
	if p.sink != nil {
		return errors.New("it holds tokens already, expected text")
	}
	ids, err := r.Tokens(f)
	if err == nil {
		ids.path = path
		p.ids = append(p.ids, ids)
	}
	return err
}

func (p *Part) readRecords(f *os.File, r Reader, o Options) error {
	fields := []string{o.Field}
	if o.Field == "" {
		fields[0] = "text"
	}
	if o.Prompt != "" {
		fields = append(fields, o.Prompt)
	}
	switch {
	case p.ids != nil:
		return errors.New("it holds text, and files before it hold tokens")
	case r.Plain && o.Prompt != "":
		return fmt.Errorf("it has no prompts, expected records (.jsonl, .csv, .parquet) with the fields %q and %q", fields[1], fields[0])
	}
	return r.Read(f, fields, func(rec Record) error {
		docs := [][]byte{bytes.TrimPrefix(rec.Values[0], bom)}
		if r.Plain && o.Separator != "" {
			docs = separated(docs[0], o.Separator)
			p.cuts += len(docs) - 1
		}
		p.plain = p.plain || r.Plain
		for _, d := range docs {
			if len(d) == 0 {
				p.Skipped++
				continue
			}
			var prompt []byte
			if o.Prompt != "" {
				prompt = append([]byte{}, rec.Values[1]...)
			}
			if err := p.put(d, prompt, rec.Place); err != nil {
				return err
			}
		}
		return nil
	})
}

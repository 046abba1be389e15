package data

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/mapped"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// Files of a prepared corpus, beside its shards.
const (
	preparedFile  = "corpus.json"
	tokenizerFile = "tokenizer.json"
)

// Prepared is corpus.json of a folder that Prepare wrote.
type Prepared struct {
	Version   int         `json:"version"`
	Tokenizer string      `json:"tokenizer_sha256"` // of tokenizer.json beside it
	Vocab     int         `json:"vocab"`
	End       int32       `json:"document_end"` // id after each document; -1 for none
	Pack      string      `json:"pack"`         // where data.pack does not say
	Chats     bool        `json:"chats,omitempty"`
	Template  string      `json:"template,omitempty"` // of chats, that they were rendered by
	Skipped   int         `json:"skipped"`            // records with nothing to learn
	TextBytes int64       `json:"text_bytes"`
	Tokens    int         `json:"tokens"`
	Documents int         `json:"documents"`
	Learned   int         `json:"learned"` // tokens that are predicted
	Shards    []ShardInfo `json:"shards"`

	dir string
}

const preparedVersion = 1

// maxPrepared bounds corpus.json in bytes.
const maxPrepared = 64 << 20

// IsPrepared reports whether a folder holds a prepared corpus.
func IsPrepared(path string) bool {
	st, err := os.Stat(filepath.Join(path, preparedFile))
	return err == nil && st.Mode().IsRegular()
}

// ReadPrepared reads what a prepared corpus says of itself.
func ReadPrepared(dir string) (*Prepared, error) {
	path := filepath.Join(dir, preparedFile)
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > maxPrepared {
		return nil, fmt.Errorf("%w: %s has %d bytes, expected at most %d", ErrFormat, path, size, maxPrepared)
	}
	p := &Prepared{dir: dir}
	if err := json.NewDecoder(f).Decode(p); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFormat, path, err)
	}
	switch {
	case p.Version != preparedVersion:
		err = fmt.Errorf("version %d, expected %d: run ecospa data prepare again", p.Version, preparedVersion)
	case p.Vocab < 1 || p.Vocab > begins || len(p.Shards) == 0:
		err = fmt.Errorf("%d ids and %d shards, expected some", p.Vocab, len(p.Shards))
	case p.Pack != PackDocuments && p.Pack != PackStream:
		err = fmt.Errorf("pack is %q, expected %s or %s", p.Pack, PackDocuments, PackStream)
	}
	for _, s := range p.Shards {
		if filepath.Base(s.File) != s.File {
			err = fmt.Errorf("shard %q is outside of the folder", s.File)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFormat, path, err)
	}
	return p, nil
}

// TokenizerPath is the file of its tokenizer.
func (p *Prepared) TokenizerPath() string { return filepath.Join(p.dir, tokenizerFile) }

// open maps the shards.
func (p *Prepared) open(separate bool) (*Shards, error) {
	var files []*shardFile
	sum := crc32.Checksum([]byte(p.Tokenizer), castagnoli)
	if separate {
		sum = crc32.Update(sum, castagnoli, []byte(PackDocuments))
	}
	for _, info := range p.Shards {
		f, err := openShard(filepath.Join(p.dir, info.File), p.Vocab)
		if err != nil {
			return nil, err
		}
		if f.tokens != info.Tokens || f.documents != info.Documents || f.sums != [2]uint32{info.Sum, info.Index} {
			return nil, fmt.Errorf("%w: %s is not the shard that %s names: %d tokens, expected %d", ErrFormat, f.path, preparedFile, f.tokens, info.Tokens)
		}
		files = append(files, f)
		sum = crc32.Update(sum, castagnoli, fmt.Appendf(nil, "%d %d %d %d\n", info.Tokens, info.Documents, info.Sum, info.Index))
	}
	return newShards(files, separate, sum), nil
}

// Verify reads all shards and holds them against their sums.
func (p *Prepared) Verify() error {
	s, err := p.open(true)
	if err != nil {
		return err
	}
	for _, f := range s.files {
		tokens, err := f.sum(f.at, int64(f.tokens*f.width))
		if err != nil {
			return err
		}
		index, err := f.sum(f.index, int64(f.documents*recordBytes))
		if err != nil {
			return err
		}
		if f.sums != [2]uint32{tokens, index} {
			return fmt.Errorf("%w: %s: its checksum does not match, the file is damaged: run ecospa data prepare again", ErrFormat, f.path)
		}
	}
	return nil
}

// sum is the CRC-32C of n bytes from at on.
func (s *shardFile) sum(at, n int64) (sum uint32, err error) {
	err = mapped.Guard(func() error {
		buf := make([]byte, 1<<20)
		for end := at + n; at < end; at += int64(len(buf)) {
			b, err := s.m.View(at, int(min(int64(len(buf)), end-at)), buf)
			if err != nil {
				return err
			}
			sum = crc32.Update(sum, castagnoli, b)
			s.m.Drop(at, len(b))
		}
		return nil
	})
	return sum, faulty(s.path, err)
}

// openPrepared makes p the part of a prepared corpus.
func (p *Part) openPrepared(dir string, o Options) (err error) {
	if p.prepared, err = ReadPrepared(dir); err != nil {
		return err
	}
	if o.Prompt != "" || o.Separator != "" || o.Template != "" || o.Format != "" || o.Field != "" && o.Field != "text" {
		return fmt.Errorf("%w: %s is a prepared corpus: field, prompt, separator, format and template are options of ecospa data prepare", ErrFormat, dir)
	}
	if p.Pack == "" {
		p.Pack = p.prepared.Pack
	}
	p.Skipped, p.Entropy = p.prepared.Skipped, math.NaN()
	p.Shards, err = p.prepared.open(p.Pack == PackDocuments)
	return err
}

// Prepared is what a prepared corpus says of itself; nil for other data.
func (p Part) Prepared() *Prepared { return p.prepared }

// fits refuses a tokenizer that is not the one of the corpus.
func (p *Prepared) fits(t tokenizer.Tokenizer) error {
	sum, _, err := tokenizerSum(t)
	if err != nil {
		return err
	}
	if end := tokenizer.DocumentEnd(t); sum != p.Tokenizer || end != p.End {
		return fmt.Errorf("%w: %s was prepared with another tokenizer (%d ids, %d after a document; this one has %d ids and %d): run ecospa data prepare with this one", ErrFormat, p.dir, p.Vocab, p.End, t.Vocab(), end)
	}
	return nil
}

// tokenizerSum is the SHA-256 of a tokenizer's file, and the file.
func tokenizerSum(t tokenizer.Tokenizer) (string, []byte, error) {
	text, err := t.JSON()
	if err != nil {
		return "", nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256(compact.Bytes())
	return hex.EncodeToString(sum[:]), text, nil
}

// String says what the corpus is, a line each.
func (p *Prepared) String() string {
	s := fmt.Sprintf("corpus      %s (data.path of a run file)\ndocuments   %d, %d records skipped\ntokens      %d, %d of them learned\nshards      %d\n",
		p.dir, p.Documents, p.Skipped, p.Tokens, p.Learned, len(p.Shards))
	if p.TextBytes > 0 {
		s += fmt.Sprintf("text        %d bytes, %.3f a token\n", p.TextBytes, float64(p.TextBytes)/float64(max(1, p.Tokens)))
	}
	return s
}

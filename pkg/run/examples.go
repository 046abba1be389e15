package run

import (
	"context"
	"fmt"
	"strings"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/data"
)

// Examples are documents as a run would learn them.
type Examples struct {
	Documents []data.Example
	pieces    func(id int32) ([]byte, error)
}

// ReadExamples reads the data of a run for the model that it begins with, and gives the
// first n documents of the training part. Nothing is trained and nothing is written.
func ReadExamples(ctx context.Context, cfg config.Run, n int, notify func(Event)) (*Examples, error) {
	j := &Job{Options: Options{Notify: notify, Ranks: Ranks{Group: dist.Alone{}}}, cfg: cfg}
	var err error
	if j.bundle, err = bundle.Open(cfg.From, bundle.Options{ShapesOnly: true}); err != nil {
		return nil, err
	}
	defer j.release()
	if err := j.bundle.Text(); err != nil {
		return nil, err
	}
	if err := cfg.Data.Validate(); err != nil {
		return nil, fault.Usage(err)
	}
	if err := j.read(ctx); err != nil {
		return nil, err
	}
	if j.cfg.Train.Context == 0 {
		j.cfg.Train.Context = j.defaultContext()
	}
	if err := j.count(); err != nil {
		return nil, err
	}
	all, err := j.work.(interface {
		Examples(n, most int) ([]data.Example, error)
	}).Examples(n, j.cfg.Train.Context)
	return &Examples{all, j.bundle.Tokenizer.Piece}, err
}

// Text shows each document, a token a line: its id, + where it is learned, and what it
// says. With colour what is learned is green as well.
func (e *Examples) Text(colour bool) string {
	var b strings.Builder
	for i, d := range e.Documents {
		learned := 0
		for _, l := range d.Learned {
			if l {
				learned++
			}
		}
		fmt.Fprintf(&b, "example %d: %d tokens, %d learned (+)\n", i+1, len(d.IDs), learned)
		for k, id := range d.IDs {
			piece, err := e.pieces(id)
			text := fmt.Sprintf("%q", piece)
			if err != nil {
				text = "(no token has this id)"
			}
			switch {
			case !d.Learned[k]:
				fmt.Fprintf(&b, "%8d    %s\n", id, text)
			case colour:
				fmt.Fprintf(&b, "\x1b[32m%8d  + %s\x1b[0m\n", id, text)
			default:
				fmt.Fprintf(&b, "%8d  + %s\n", id, text)
			}
		}
	}
	return b.String()
}

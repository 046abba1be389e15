package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/pkg/train"
)

// ErrRun is returned for a directory that holds no run, or one whose files are
// not what a run writes.
var ErrRun = errors.New("report: not a run")

// Run is what a run directory says about itself.
type Run struct {
	Dir     string
	Name    string         // last part of Dir
	Steps   []train.Record // of metrics.jsonl, thinned out evenly when there are more than 65,536
	Plans   []Plan         // of plans/, by step
	Summary *train.Summary // nil while the run goes on
	Config  string         // run.yaml, at most 1 MiB
}

// maxConfig bounds run.yaml in bytes.
const maxConfig = 1 << 20

// Open reads a run directory. Only metrics.jsonl has to be there; what else
// exists has to be sound. A run that still goes on can be read.
func Open(dir string) (*Run, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRun, err)
	}
	defer root.Close()
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	r := &Run{Dir: dir, Name: filepath.Base(abs)}
	for _, read := range []func(*os.Root) error{r.readMetrics, r.readPlans, r.readSummary, r.readConfig} {
		if err := read(root); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrRun, dir, err)
		}
	}
	return r, nil
}

func (r *Run) readSummary(root *os.Root) (err error) {
	if r.Summary, err = train.ReadSummary(root); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (r *Run) readConfig(root *os.Root) error {
	f, err := root.Open("run.yaml")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(text) > maxConfig {
		err = fmt.Errorf("run.yaml: larger than %d bytes", maxConfig)
	}
	r.Config = string(text)
	return err
}

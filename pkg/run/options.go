package run

import (
	"os"
	"path/filepath"
	"regexp"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/train"
)

// Mode says whether a run begins or goes on.
type Mode int

const (
	New      Mode = iota // the directory must not hold a run, unless Options.Force replaces it
	Continue             // the directory must hold a run
	Auto                 // goes on where the directory holds a run, begins elsewhere
)

// Options are what a run file does not say. The zero value starts a new run in one
// process.
type Options struct {
	Mode    Mode
	Allow   []string    // keys of the run file that may differ from the interrupted run's
	Force   bool        // replace the run in the directory; go on with too little memory or disk
	Merge   bool        // with adapters: write the model with the adapters folded in as well
	Ranks   Ranks       // of a run on several processes
	Notify  func(Event) // called with everything that happens, one call at a time; may be nil
	Version string      // of the program, recorded in the run
	// Before runs before all other hooks of the loop.
	Before train.Hook
	// Disk is where checkpoints are written; the zero value is the system's.
	Disk checkpoint.Disk
}

// Ranks is this process's part in a run on several processes. The zero value is a
// run in one process.
type Ranks struct {
	dist.Group
	Threads int    // worker threads of a rank where the run file does not say; 0: one a core
	Library string // that joins the ranks, for messages
}

// lead reports whether this rank writes for all.
func (r Ranks) lead() bool { return r.Rank() == 0 }

// many reports whether there are other ranks.
func (r Ranks) many() bool { return r.Size() > 1 }

// File is the run file in a run directory.
func File(dir string) string { return filepath.Join(dir, "run.yaml") }

// Exists reports whether a directory holds a run.
func Exists(dir string) bool {
	_, err := os.Stat(File(dir))
	return err == nil
}

// Config is the effective run file of a run directory. Its Out is the directory,
// wherever it was when the run was started.
func Config(dir string) (config.Run, error) {
	c, err := config.Load(File(dir), nil)
	if err != nil {
		return c, fault.BadInput(err)
	}
	c.Out = dir
	if text, err := os.ReadFile(File(dir)); err == nil && !packKey.Match(text) { // of a version without the key
		c.Data.Pack = data.PackStream
	}
	return c, nil
}

// packKey is data.pack in a run file that the program wrote.
var packKey = regexp.MustCompile(`(?m)^ +pack:`)

package train

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
)

// Snapshot is how a run stood after one step.
type Snapshot struct {
	Step       int                `json:"step"`
	Params     int                `json:"params"`
	Memory     Memory             `json:"memory"`
	Ms         float64            `json:"ms"` // median of the steps before it
	TokensPerS float64            `json:"tokens_per_s"`
	RSS        int64              `json:"rss"`                    // bytes
	ValLoss    *float64           `json:"val_loss,omitempty"`     // nats; nil without validation data
	ValEMA     *float64           `json:"val_loss_ema,omitempty"` // of the averaged weights
	ValParts   map[string]float64 `json:"val_parts,omitempty"`    // of the corpora of a mixture
	ValRewards *Rewards           `json:"val_rewards,omitempty"`  // of held-out pairs of answers, of which val_loss is then the mean
	ValTop1    *float64           `json:"val_top1,omitempty"`     // share of validation images that are classified rightly; nil for text
}

// Perplexity is e to the validation loss; NaN without validation data, and of pairs of answers.
func (s Snapshot) Perplexity() float64 {
	if s.ValLoss == nil || s.ValRewards != nil {
		return math.NaN()
	}
	return math.Exp(*s.ValLoss)
}

// Summary is what came of a finished run: summary.json of its directory.
type Summary struct {
	Version string    `json:"version"` // of this program
	Path    string    `json:"path"`    // the kernels' CPU path
	Threads int       `json:"threads"`
	Before  *Snapshot `json:"before,omitempty"` // at the first pruning event
	After   Snapshot  `json:"after"`
	PeakRSS int64     `json:"peak_rss"`          // bytes
	Load    float64   `json:"load,omitempty"`    // of the machine at the end, where other programs ran: times say little
	Entropy *float64  `json:"entropy,omitempty"` // of the validation text in nats a token, where it is known
	Sample  string    `json:"sample,omitempty"`  // what the model wrote at the end
	Encoder bool      `json:"encoder,omitempty"` // the model writes nothing: it gives vectors of texts
}

// SummaryFile is the summary's name in a run directory.
const SummaryFile = "summary.json"

// maxSummary bounds summary.json in bytes.
const maxSummary = 4 << 20

// ReadSummary reads a summary.json of at most 4 MiB. A missing file gives
// os.ErrNotExist.
func ReadSummary(root *os.Root) (*Summary, error) {
	f, err := root.Open(SummaryFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSummary+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", SummaryFile, err)
	}
	if len(text) > maxSummary {
		return nil, fmt.Errorf("%s: larger than %d bytes", SummaryFile, maxSummary)
	}
	s := new(Summary)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%s: %w", SummaryFile, err)
	}
	return s, nil
}

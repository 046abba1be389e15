package bundle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/graph"
)

// Draw plans the training graph of a bundle of shapes for batch sequences of tokens each
// (0: the model's context, at most 256) and draws it with its memory plan to a file whose
// name ends in .svg or .dot. Nothing is computed.
func (b *Bundle) Draw(path string, batch, tokens int) error {
	if tokens == 0 {
		tokens = min(256, b.Model.Context())
	}
	if tokens > b.Model.Context() {
		return fault.Usage(fmt.Errorf("sequences of %d tokens are asked for, the model's context is %d", tokens, b.Model.Context()))
	}
	g := graph.NewBuilder(b.Set, graph.BuildOptions{Train: true})
	b.Model.Loss(g, batch, tokens, 0)
	plan, err := g.Plan(graph.PlanOptions{Taps: true})
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if filepath.Ext(path) == ".svg" {
		err = plan.WriteSVG(f)
	} else {
		err = plan.WriteDOT(f)
	}
	return errors.Join(err, f.Close())
}

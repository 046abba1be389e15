package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// InspectOptions is what the flags of inspect say.
type InspectOptions struct {
	Model string
	JSON  bool
}

// InspectResult is what inspect prints with --json.
type InspectResult struct {
	Family      string         `json:"family"`
	Params      int            `json:"params"`
	DenseParams int            `json:"dense_params"` // before any pruning
	Bytes       int64          `json:"bytes"`        // of the parameters in float32
	Context     int            `json:"context"`
	Vocab       int            `json:"vocab"`
	Layers      []InspectLayer `json:"layers"`
}

// InspectLayer is one layer of an InspectResult.
type InspectLayer struct {
	Layer   int `json:"layer"`
	KVHeads int `json:"kv_heads"`
	QK      int `json:"qk"`     // units a head (rotation pairs under RoPE)
	VO      int `json:"vo"`     // units a head
	FFN     int `json:"ffn"`    // hidden channels
	Params  int `json:"params"` // all parameters of the layer
	// Kept is Params over what the layer had before pruning.
	Kept float64 `json:"kept"`
}

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:  "inspect",
		Usage: "show a model's sizes, layer by layer",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Required: true, Usage: "model or run `DIR`"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			return RunInspect(InspectOptions{Model: c.String("model"), JSON: c.Bool("json")}, c.App.Writer)
		},
	}
}

// RunInspect prints the model of a directory; it reads no weights.
func RunInspect(o InspectOptions, out io.Writer) error {
	root, err := os.OpenRoot(o.Model)
	if err != nil {
		return badInput(err)
	}
	defer root.Close()
	files, err := checkpoint.ReadModel(root)
	if err != nil {
		return badInput(err)
	}
	m, err := model.Parse(files.Config)
	if err != nil {
		return badInput(fmt.Errorf("%s: %w", o.Model, err))
	}
	set, err := param.Layout(m.Specs())
	if err != nil {
		return badInput(fmt.Errorf("%s: %w", o.Model, err))
	}
	dense, err := param.Layout(m.DenseSpecs())
	if err != nil {
		return badInput(errors.Join(err))
	}
	r := InspectResult{
		Family: m.Family(), Params: set.Count(), DenseParams: dense.Count(), Bytes: 4 * int64(set.Count()),
		Context: m.Context(), Vocab: m.Vocab(),
	}
	was := model.LayerParams(dense)
	for i, n := range model.LayerParams(set) {
		w := model.Layer(set, i)
		r.Layers = append(r.Layers, InspectLayer{i, w.KV, w.QK, w.VO, w.FFN, n, float64(n) / float64(was[i])})
	}
	if o.JSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "%s, %d parameters (%d before pruning, %.2f kept), %s in float32, vocabulary %d, context %d\n\n",
		r.Family, r.Params, r.DenseParams, float64(r.Params)/float64(r.DenseParams), byteCount(r.Bytes), r.Vocab, r.Context)
	t := newTable("layer", "kv heads", "qk", "vo", "ffn", "parameters", "kept")
	for _, l := range r.Layers {
		t.add(l.Layer, l.KVHeads, l.QK, l.VO, l.FFN, l.Params, fmt.Sprintf("%.2f", l.Kept))
	}
	t.print(out)
	return nil
}

package run

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"

	"github.com/ecospa/ecospa/internal/tfevents"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/train"
)

// boardDir holds TensorBoard's event files of a run.
const boardDir = "tensorboard"

// board is the hook that writes event files. Like the metrics, they do not stop a run
// when the disk does not take them.
type board struct {
	job    *Job
	dir    string
	w      *tfevents.Writer
	failed bool
}

func (b *board) start(l *train.Loop) error {
	purge := 0
	if l.Step > 0 {
		purge = l.Step + 1
	}
	w, err := tfevents.Create(b.dir, purge)
	if b.failedOnce(l, err); err == nil {
		b.w = w
	}
	return nil
}

func (b *board) step(l *train.Loop) error {
	if b.w == nil {
		return nil
	}
	r, v := l.Last, new(tfevents.Values)
	for tag, x := range map[string]float64{
		"train/loss": r.Loss, "train/learning_rate": r.LR, "train/gradient_norm": r.GradNorm, "train/tokens": float64(r.Tokens),
		"speed/tokens_per_second": r.TokensPerS, "speed/milliseconds": r.Ms, "speed/mfu": r.MFU, "memory/resident_bytes": float64(r.RSS), "model/parameters": float64(r.Params),
	} {
		v.Scalar(tag, x)
	}
	if r.ValLoss != nil {
		v.Scalar("validation/loss", *r.ValLoss)
	}
	if r.ValEMA != nil {
		v.Scalar("validation/loss_averaged", *r.ValEMA)
	}
	for _, n := range r.Layers {
		v.Scalar("gradient_norm/"+n.Name, n.Grad)
		v.Scalar("update_ratio/"+n.Name, n.Update)
	}
	for name, rewards := range map[string]*train.Rewards{"train": r.Rewards, "validation": r.ValRewards} {
		if rewards != nil {
			v.Scalar(name+"/reward_chosen", rewards.Chosen)
			v.Scalar(name+"/reward_rejected", rewards.Rejected)
			v.Scalar(name+"/reward_margin", rewards.Margin)
			v.Scalar(name+"/pairs_in_order", rewards.Accuracy)
		}
	}
	for name, loss := range r.ValParts {
		v.Scalar("validation/loss of "+name, loss)
	}
	for i, text := range r.Samples {
		v.Text(fmt.Sprintf("samples/%d", i), "```\n"+text+"\n```")
	}
	if r.Event != nil {
		if err := b.plan(v, r.Event.Plan); err != nil {
			b.failedOnce(l, err)
		}
	}
	b.failedOnce(l, b.w.Write(l.Step, v))
	return nil
}

// plan adds the scores of a pruning event by kind, and a picture of what it keeps.
func (b *board) plan(v *tfevents.Values, name string) error {
	f, err := os.Open(filepath.Join(b.job.cfg.Out, "plans", name))
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := coupled.ReadPlan(f)
	if err != nil {
		return err
	}
	scores := map[string][]float64{}
	for _, d := range p.Decisions {
		for _, list := range d.Scores {
			scores[string(d.Kind)] = append(scores[string(d.Kind)], list...)
		}
	}
	for kind, list := range scores {
		v.Histogram("scores/"+kind, list)
	}
	picture, w, h, err := drawPlan(p)
	if err == nil && w > 0 {
		v.PNG("plan/kept", picture, w, h)
	}
	return err
}

// drawPlan draws a plan: a column a layer, a row a kind of units, the darker the more of
// a group is kept.
func drawPlan(p *coupled.Plan) (picture []byte, w, h int, err error) {
	const cell = 16
	layers, kinds := 0, []string{}
	for _, d := range p.Decisions {
		layers = max(layers, d.Layer+1)
		if !slices.Contains(kinds, string(d.Kind)) {
			kinds = append(kinds, string(d.Kind))
		}
	}
	slices.Sort(kinds)
	m := image.NewRGBA(image.Rect(0, 0, cell*layers, cell*len(kinds)))
	for i := range m.Pix {
		m.Pix[i] = 0xff
	}
	for _, d := range p.Decisions {
		share := float64(d.Keep) / float64(max(1, d.Units))
		c := color.RGBA{uint8(255 - 225*share), uint8(255 - 165*share), uint8(255 - 75*share), 255}
		row := slices.Index(kinds, string(d.Kind))
		for y := row * cell; y < (row+1)*cell-1; y++ {
			for x := d.Layer * cell; x < (d.Layer+1)*cell-1; x++ {
				m.SetRGBA(x, y, c)
			}
		}
	}
	var out bytes.Buffer
	err = png.Encode(&out, m)
	return out.Bytes(), m.Rect.Dx(), m.Rect.Dy(), err
}

// failedOnce says the first time that the disk does not take events.
func (b *board) failedOnce(l *train.Loop, err error) {
	if err != nil && !b.failed {
		b.job.tell(Note(fmt.Sprintf("step %d: the event file cannot be written: %s", l.Step, oneLine(err))))
	}
	b.failed = b.failed || err != nil
}

func (b *board) end(l *train.Loop) error {
	if b.w != nil {
		b.failedOnce(l, errors.Join(b.w.Sync(), b.w.Close()))
		b.w = nil
	}
	return nil
}

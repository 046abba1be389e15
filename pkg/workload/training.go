package workload

import (
	"cmp"
	"fmt"
	"math"
	"os"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/recovery"
)

// available is what the system says is left; tests have other systems.
var available = sysmem.Available

// decideTraining decides how a recovery trains, before the model is opened, for its weights are
// kept as that needs them: the first of recovery's ways that fits the memory that is left, or the
// one that trains weights of the type that was asked for. What does not fit is refused, or
// with RecoverAuto not recovered.
func (p *Pruning) decideTraining() error {
	of := p.Open.Weights
	if p.DryRun || !p.recovers() {
		return nil // nothing to recover, or what Job.Unrecoverable refuses
	}
	b, err := bundle.Open(p.From, bundle.Options{ShapesOnly: true, CheckHeaders: true})
	if err != nil {
		return nil // what is wrong is said when it is opened
	}
	defer b.Close()
	if _, images := b.Model.(model.Classifier); images {
		return nil
	}
	if err := p.Vocabulary.cutShapes(b.Set); err != nil {
		return err
	}
	switch {
	case of != "":
	case p.Resume:
		of = p.resumedWeights()
	case p.Config.Options(1).PerSequence(): // reads gradients of weights
		of = param.F32
	}
	free, by, known := available()
	if !known {
		free = math.MaxInt64
	}
	o := recovery.Options{Context: cmp.Or(p.Context, min(512, b.Model.Context()))}.Resolve()
	shapes := recovery.Shapes{Model: b.Model, Set: b.Set, Parent: param.F32, Share: p.share(b.Set)}
	if b.DType == "BF16" { // see bundle.AsStored
		shapes.Parent = param.BF16
	}
	c, err := o.Choose(shapes, of, free)
	if err != nil {
		return err
	}
	if c.Fits || p.Resume {
		p.training, p.Open.Weights = c, c.Weights
		return nil
	}
	err = fmt.Errorf("recovering this model by %s takes %s (%s), but %s has %s left", c.Optimizer, units.Bytes(c.Plan.Total()), c.Plan.Memory, by, units.Bytes(free))
	if least, failed := o.Choose(shapes, "", free); failed == nil && least.Fits {
		err = fmt.Errorf("%w: --weights %s takes %s", err, least.Weights, units.Bytes(least.Plan.Total()))
	} else {
		err = fmt.Errorf("%w: --recover none does not need it", err)
	}
	if p.Recover != RecoverAuto {
		return err
	}
	p.Recover = RecoverNone
	p.Log("not recovered: " + err.Error())
	return nil
}

// share is the part of the parameters that is kept at most, as far as the target says.
func (p *Pruning) share(set *param.Set) float64 {
	if !p.Config.Enabled() || p.Config.TargetMemory != "" || p.Plan != "" {
		return 1
	}
	goal, err := p.Config.Goal(set, nil)
	if err != nil || goal.Params == 0 || goal.Params > goal.Dense { // an error is the job's to report
		return 1
	}
	return float64(goal.Params) / float64(goal.Dense)
}

// resumedWeights is the type of the weights that an interrupted recovery trained; float32 where
// there is none, which goOn reports.
func (p *Pruning) resumedWeights() param.DType {
	root, err := os.OpenRoot(p.Out)
	if err != nil {
		return param.F32
	}
	defer root.Close()
	var u unfinished
	if err := checkpoint.ReadJSON(root, stateFile, &u); err == nil && u.Recovery.Options.Optimizer == recovery.Apollo {
		return param.BF16
	}
	return param.F32
}

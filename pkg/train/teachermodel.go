package train

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// teacherModel is a trained model that another learns from. It runs forward on each
// micro-batch up to its last hidden states; its logits exist for a chunk of rows at
// a time, within the student's loss.
type teacherModel struct {
	model   model.Model
	set     *param.Set
	pool    *kernel.Pool
	head    *graph.Teacher
	machine *graph.Machine // for the micro-batches of the loop
}

// Learn makes the loop learn from a model over the same vocabulary. Lower must follow.
func (l *Loop) Learn(c Teacher, m model.Model, set *param.Set) error {
	if m.Vocab() != l.Model.Vocab() {
		return fmt.Errorf("teacher.model %s has a vocabulary of %d, the model that is trained %d", c.Model, m.Vocab(), l.Model.Vocab())
	}
	if l.Config.Context > m.Context() {
		return fmt.Errorf("train.context is %d tokens, but the context of teacher.model %s is %d", l.Config.Context, c.Model, m.Context())
	}
	l.teacher = &teacherModel{model: m, set: set, pool: l.Pool, head: &graph.Teacher{Temperature: float32(c.Temperature), Weight: float32(c.Weight)}}
	return l.teacher.lower(l.MicroBatch, l.Config.Context, l.documents())
}

func (t *teacherModel) lower(batch, context int, documents bool) error {
	b := graph.NewBuilder(t.set, graph.BuildOptions{States: true, Documents: documents})
	t.model.Loss(b, batch, context, 0)
	var err error
	if t.machine, err = b.Lower(graph.LowerOptions{Pool: t.pool}); err != nil {
		return err
	}
	w, bias := t.model.Head(t.set)
	t.head.W, t.head.Bias, t.head.Width = w.Data(), nil, w.Dims[len(w.Dims)-1].Size
	if bias != nil {
		t.head.Bias = bias.Data()
	}
	return nil
}

// show runs the teacher on a micro-batch and gives its hidden states to the student.
func (t *teacherModel) show(student *graph.Machine, batch data.Batch) error {
	if err := batch.FeedInputs(t.machine); err != nil {
		return err
	}
	if err := t.machine.RunAll(); err != nil {
		return fmt.Errorf("teacher: %w", err)
	}
	return student.SetFloats(graph.TeacherInput, t.machine.Output(graph.StatesOutput)...)
}

func (t *teacherModel) close() {
	if t.machine != nil {
		t.machine.Close()
	}
	t.set.Weights.Close()
}

// bytes is the memory that the teacher takes.
func (t *teacherModel) bytes() int64 {
	return 4*int64(t.set.Len()) + t.machine.Plan().ArenaBytes()
}

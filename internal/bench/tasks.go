package bench

import (
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/train"
)

// Tasks are what can be done with a model in the least memory, by keys of a run file:
// evaluating it, gathering the evidence for pruning it (one sequence at a time), training adapters
// beside it, and training all of it.
var Tasks = []Manner{
	{"eval", []string{"train.weights=bf16"}},
	{"evidence", []string{"train.weights=bf16", "train.recompute=layer"}},
	{"lora", []string{"lora.rank=16", "train.weights=q8_0", "train.recompute=layer"}},
	{"full", []string{"optim.name=apollo", "optim.in_backward=true", "train.weights=bf16", "train.recompute=layer"}},
}

// planTasks plans each of the Tasks for a size; 0 is one that its family does not have.
func (r *Machine) planTasks(s *MachineSize, m model.Model, shapes *param.Set) error {
	for _, task := range Tasks {
		run, err := r.manner(task, m)
		if err != nil {
			return err
		}
		mem, err := planTask(task.Name, run, m, shapes)
		if err != nil {
			return err
		}
		s.Tasks = append(s.Tasks, mem)
		if r.known {
			s.TaskOK = append(s.TaskOK, mem <= r.Free)
		}
	}
	return nil
}

func planTask(name string, run config.Run, m model.Model, shapes *param.Set) (int64, error) {
	c := run.Train
	_, images := m.(model.Classifier)
	var mem train.Memory
	var err error
	switch name {
	case "eval":
		mem, err = train.EvalFootprint(c, m, shapes)
	case "evidence":
		c.MicroBatch = 1
		if mem, err = train.GatesFootprint(c, m, shapes); err == nil {
			e := coupled.NewEvidence(shapes, coupled.Options{})
			mem.Activations += e.Bytes()
			e.Close()
		}
	default:
		if images && run.LoRA.Enabled() {
			return 0, nil
		}
		mem, err = train.Footprint(c, run.Optim, run.LoRA, m, shapes, false)
	}
	return mem.Total(), err
}

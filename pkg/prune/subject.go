package prune

import (
	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Subject is a model that is pruned or measured, and who works on it.
type Subject struct {
	Model model.Model
	Set   *param.Set
	Pool  *kernel.Pool
	Ranks dist.Group // share the work, and all get the result; nil for one process
}

// NewSubject makes a subject with a pool of worker threads; 0 is one a core. Close it.
func NewSubject(m model.Model, set *param.Set, threads int, ranks dist.Group) Subject {
	return Subject{m, set, kernel.NewPool(threads), ranks}
}

// Close ends the worker threads. The model stays.
func (s Subject) Close() { s.Pool.Close() }

package coupled

import (
	"fmt"
	"sort"

	"github.com/ecospa/ecospa/pkg/param"
)

// site is the second moments of one place of the graph. See Observe.
type site struct{}

func (s *site) decay(f float64)                                  {}
func (s *site) shrink(cut param.Cut, gates map[string]*gateStat) {}
func (e *Evidence) addSites(set *param.Set)                      {}

var _ = fmt.Sprint
var _ = sort.Ints

package coupled

import (
	"fmt"
	"sort"
	"strings"
)

// allocation divides a budget among the groups: it decides how many units each
// keeps (not which). One file each, registered from init.
type allocation interface {
	name() string
	// widths returns the units that each list of a dimension keeps.
	widths(p *problem) (map[string]int, error)
}

var allocations = map[string]allocation{}

func registerAllocation(a allocation) {
	if allocations[a.name()] != nil {
		panic("coupled: allocation registered twice: " + a.name())
	}
	allocations[a.name()] = a
}

// Allocations lists the names of the allocations, sorted.
func Allocations() []string {
	names := make([]string, 0, len(allocations))
	for n := range allocations {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

func allocationByName(name string) (allocation, error) {
	if a := allocations[name]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("allocation %q is unknown, expected one of %s", name, strings.Join(Allocations(), ", "))
}

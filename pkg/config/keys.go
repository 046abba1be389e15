package config

import (
	"reflect"
	"slices"

	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
)

// Keys are the keys of a run file by path, each with "=" after it, and with the value as well
// where there is a list: what --set takes. Sorted.
func Keys() []string {
	listed := map[string][]string{"model.family": model.Families(), "model.name": model.Names(), "optim.name": optim.Names()}
	var out []string
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		for i := range t.NumField() {
			f := t.Field(i)
			key := keyOf(f)
			if key == noKey || key == "" {
				continue
			}
			at := join(path, key)
			switch values := listed[at]; {
			case values != nil:
				for _, v := range values {
					out = append(out, at+"="+v)
				}
			case f.Type.Kind() == reflect.Struct:
				walk(f.Type, at)
			default:
				out = append(out, at+"=")
			}
		}
	}
	walk(reflect.TypeFor[Run](), "")
	slices.Sort(out)
	return out
}

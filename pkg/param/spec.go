package param

import (
	"fmt"
	"strings"
)

// Dim is one dimension of a parameter. Dimensions of one Set with the same
// name have the same size. An unnamed dimension belongs to its parameter alone.
type Dim struct {
	Name string // "layer.3.qk", "embed"; "" for a dimension nobody shares
	Size int    // units (not rows: a rotation pair is one unit, its two rows are a further unnamed dimension)
	// Per names the dimension (an earlier one of the same parameter) within
	// which units are numbered separately: the qk units of "layer.3.qk" are
	// counted per "layer.3.kv", one list of units for each K/V head. "" when
	// the dimension has one list of units.
	Per string
	// Track asks the Set to remember which original units survive (RoPE
	// pairs keep their own frequencies). See Set.Origin.
	Track bool
	Kind  Kind // what pruning can remove here; "" for nothing
	Side  Side // of this parameter, with the units of Kind; Layout fills it in from the Role
}

// Init says how a parameter starts: normal with mean Mean and standard deviation Std.
// Std 0 is the constant Mean.
type Init struct{ Mean, Std float32 }

// Spec is a parameter without storage.
type Spec struct {
	Name  string // "layer.3.q"
	Layer int    // from 0; Outside for what belongs to no layer
	Role  Role   // what it is; "" where nobody asks
	Dims  []Dim  // outermost first; row-major
	Block string // parameters of one block are adjacent, in the order given; "" is a block of its own named Name
	Decay bool   // weight decay applies
	Init  Init
	// Plus is what the model adds to every stored value before it uses it: 1 of a gain that
	// is stored as w and works as 1 + w (Gemma).
	Plus float32
}

// Size is the number of elements: the product of the dimensions.
func (s Spec) Size() int {
	n := 1
	for _, d := range s.Dims {
		n *= d.Size
	}
	return n
}

// String prints "name[kv 2, qk 16, embed 64]".
func (s Spec) String() string {
	var b strings.Builder
	b.WriteString(s.Name + "[")
	for i, d := range s.Dims {
		if i > 0 {
			b.WriteString(", ")
		}
		if d.Name != "" {
			b.WriteString(d.Name + " ")
		}
		fmt.Fprint(&b, d.Size)
	}
	return b.String() + "]"
}

// maxElements bounds one Set: 2^36 floats are 256 GiB. It is there so that a
// hostile config.json cannot overflow a product of sizes.
const maxElements = 1 << 36

func checkSpecs(specs []Spec) error {
	type seen struct {
		size  int
		per   string
		track bool
		kind  Kind
		by    string
	}
	dims := map[string]seen{}
	names := map[string]bool{}
	roles := map[layerRole]string{}
	total := 0
	for _, s := range specs {
		if s.Name == "" || names[s.Name] {
			return fmt.Errorf("param: name %q is empty or used twice", s.Name)
		}
		names[s.Name] = true
		if s.Role != "" {
			if other := roles[layerRole{s.Layer, s.Role}]; other != "" {
				return fmt.Errorf("param: %s and %s are both %s of layer %d", other, s.Name, s.Role, s.Layer)
			}
			roles[layerRole{s.Layer, s.Role}] = s.Name
		}
		if len(s.Dims) == 0 {
			return fmt.Errorf("param: %s has no dimensions", s.Name)
		}
		n := 1
		earlier := map[string]bool{}
		for _, d := range s.Dims {
			if d.Size <= 0 {
				return fmt.Errorf("param: %s has size %d", s, d.Size)
			}
			if n > maxElements/d.Size {
				return fmt.Errorf("param: %s is larger than %d elements", s, maxElements)
			}
			n *= d.Size
			if d.Per != "" && !earlier[d.Per] {
				return fmt.Errorf("param: %s: dimension %q is per %q, which does not come before it", s.Name, d.Name, d.Per)
			}
			earlier[d.Name] = true
			if d.Name == "" {
				continue
			}
			if o, ok := dims[d.Name]; ok && (o.size != d.Size || o.per != d.Per || o.track != d.Track || o.kind != d.Kind) {
				return fmt.Errorf("param: dimension %q is %d in %s and %d in %s, or differs in per, track or kind", d.Name, d.Size, s.Name, o.size, o.by)
			}
			dims[d.Name] = seen{d.Size, d.Per, d.Track, d.Kind, s.Name}
		}
		if total += n; total > maxElements {
			return fmt.Errorf("param: more than %d elements in all", maxElements)
		}
	}
	return nil
}

package param

import (
	"fmt"
	"strings"
)

// WholeLayer names the dimension of a layer as a whole: one unit, which carries every
// parameter of the layer. A cut that keeps none of it (Keep{{}}) removes the layer, and the
// layers after it get lower numbers. No parameter has the dimension among its own.
func WholeLayer(layer int) string { return InLayer(layer, "block") }

// wholeLayers adds the dimensions of whole layers to a new set.
func (s *Set) wholeLayers() {
	n := 0
	for _, p := range s.Params {
		if p.Layer >= n && strings.HasPrefix(p.Name, InLayer(p.Layer, "")) {
			n = p.Layer + 1
		}
	}
	for l := range n {
		s.indexLayer(l)
		s.from = append(s.from, l)
	}
}

// indexLayer notes the dimension of a whole layer.
func (s *Set) indexLayer(l int) {
	name := WholeLayer(l)
	s.dims[name] = Dim{Name: name, Size: 1, Kind: Layer}
	s.kinds[layerKind{l, Layer}], s.layers[name] = name, l
}

// LayerOrigin is, for each layer, its number in the dense model. The caller must not change it.
func (s *Set) LayerOrigin() []int { return s.from }

// SetLayerOrigin restores what LayerOrigin returned, after loading a model that has lost layers.
func (s *Set) SetLayerOrigin(of []int) error {
	if len(of) != len(s.from) {
		return fmt.Errorf("param: %d layers have %d original numbers", len(s.from), len(of))
	}
	for i, l := range of {
		if l < 0 || i > 0 && l <= of[i-1] {
			return fmt.Errorf("param: the original numbers of layers do not ascend at %d", i)
		}
	}
	s.from = append([]int(nil), of...)
	return nil
}

// Left lists the layers, of n, that the cut leaves.
func (c Cut) Left(n int) []int {
	left := make([]int, 0, n)
	for l := range n {
		if !c.Removes(l) {
			left = append(left, l)
		}
	}
	return left
}

// Removes reports whether the cut removes a layer.
func (c Cut) Removes(layer int) bool {
	keep, ok := c[WholeLayer(layer)]
	return ok && len(keep) == 1 && len(keep[0]) == 0
}

// checkLayer is Check of the dimension of a whole layer.
func (s *Set) checkLayer(name string, keep Keep) error {
	if len(keep) != 1 || len(keep[0]) > 1 || len(keep[0]) == 1 && keep[0][0] != 0 {
		return fmt.Errorf("%w: dimension %q keeps %v, expected its one unit or nothing", ErrCut, name, keep)
	}
	return nil
}

// RenameLayer is the name of something of layer `from` once the layer has the number `to`.
func RenameLayer(name string, from, to int) string {
	if rest, ok := strings.CutPrefix(name, InLayer(from, "")); ok {
		return InLayer(to, rest)
	}
	return name
}

// dropLayers removes the layers that the cut removes, and gives the others their new numbers.
func (s *Set) dropLayers(c Cut) {
	left := c.Left(len(s.from))
	if len(left) == len(s.from) {
		return
	}
	to := map[int]int{Outside: Outside}
	from := make([]int, len(left))
	for i, l := range left {
		to[l], from[i] = i, s.from[l]
	}
	var blocks []*Block
	for _, b := range s.Blocks {
		l := b.Params[0].Layer
		if n, ok := to[l]; ok {
			b.Name = RenameLayer(b.Name, l, n)
			blocks = append(blocks, b)
		} else if b.slab != nil {
			b.slab.Close()
			b.slab = nil
		}
	}
	dims, origin := map[string]Dim{}, map[string][][]int{}
	var params []*Param
	s.params, s.blocks, s.roles = map[string]*Param{}, map[string]*Block{}, map[layerRole]*Param{}
	s.kinds, s.layers = map[layerKind]string{}, map[string]int{}
	for _, p := range s.Params {
		n, ok := to[p.Layer]
		if !ok {
			continue
		}
		for i := range p.Dims {
			d := &p.Dims[i]
			was := s.dims[d.Name]
			of, tracked := s.origin[d.Name]
			d.Name, d.Per = RenameLayer(d.Name, p.Layer, n), RenameLayer(d.Per, p.Layer, n)
			if was.Name, was.Per = d.Name, d.Per; d.Name != "" {
				dims[d.Name] = was
			}
			if tracked {
				origin[d.Name] = of
			}
		}
		p.Name, p.Block = RenameLayer(p.Name, p.Layer, n), RenameLayer(p.Block, p.Layer, n)
		p.Layer = n
		s.params[p.Name] = p
		s.index(p)
		params = append(params, p)
	}
	for _, b := range blocks {
		s.blocks[b.Name] = b
	}
	s.Params, s.Blocks, s.dims, s.origin, s.from = params, blocks, dims, origin, from
	for l := range from {
		s.indexLayer(l)
	}
}

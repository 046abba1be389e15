package bundle

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/internal/folder"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Names of PEFT's tensors: "base_model.model." + module + ".lora_A.weight".
const (
	peftPrefix = "base_model.model."
	peftA      = ".lora_A.weight"
	peftB      = ".lora_B.weight"
)

// peftModule is a module that has an adapter of PEFT.
type peftModule struct {
	model.AdapterModule
	at    string // its name in the file
	rank  int
	scale float64
}

// readModules reads PEFT's adapters for the model of b; with shapes only, their names.
func readModules(dir *folder.Dir, c *peftConfig, b *Bundle, shapes bool) (*model.Adapters, model.LoRA, error) {
	names, err := checkpoint.TensorNames(dir, peftWeights)
	if err != nil {
		return nil, model.LoRA{}, err
	}
	mods, err := findModules(c, b, names)
	if err != nil {
		return nil, model.LoRA{}, wrong(filepath.Join(dir.Name(), peftWeights), err)
	}
	lora := summary(mods)
	if shapes {
		return nil, lora, nil
	}
	own, tensors, err := layModules(mods, b)
	if err != nil {
		return nil, lora, err
	}
	if err := checkpoint.ReadFile(dir, peftWeights, own, tensors); err != nil {
		return nil, lora, err
	}
	defer own.Close()
	a, err := joinModules(mods, own, b.Set)
	return a, lora, err
}

// layModules is a set, without storage, of the adapters of modules by themselves, and where
// a file has them.
func layModules(mods []peftModule, b *Bundle) (*param.Set, []checkpoint.Tensor, error) {
	var specs []param.Spec
	for _, m := range mods {
		specs = append(specs, m.Specs(b.Set, m.rank)...)
	}
	own, err := param.Layout(specs)
	if err != nil {
		return nil, nil, err
	}
	var tensors []checkpoint.Tensor
	for _, m := range mods {
		tensors = append(tensors, m.Tensors(b.Model.Table(), b.Set, own, peftPrefix+m.at+peftA, peftPrefix+m.at+peftB)...)
	}
	return own, tensors, nil
}

// findModules pairs the tensors of a file with the modules of the model. One that has no
// module is an error.
func findModules(c *peftConfig, b *Bundle, names []string) (out []peftModule, err error) {
	left := map[string]bool{}
	for _, n := range names {
		left[n] = true
	}
	all := b.Model.Table().AdapterModules(b.Set)
	for _, m := range all {
		for _, at := range append([]string{m.Name}, m.Aliases...) {
			a, o := peftPrefix+at+peftA, peftPrefix+at+peftB
			if !left[a] && !left[o] {
				continue
			}
			p := peftModule{AdapterModule: m, at: at}
			if p.rank, p.scale, err = c.of(at); err != nil {
				return nil, err
			}
			out = append(out, p)
			delete(left, a)
			delete(left, o)
			break
		}
	}
	for _, n := range names {
		if left[n] {
			return nil, refuse(n, b.Model.Family(), all[0].Name)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no adapters in it")
	}
	return out, nil
}

// refuse says why a tensor is not read; module is one whose adapters are.
func refuse(name, family, module string) error {
	for part, why := range map[string]string{
		"lora_magnitude_vector": "DoRA's, which low-rank adapters are not",
		"lora_embedding_":       "an adapter of an embedding, which is not read",
		"modules_to_save":       "a whole module that was trained beside the adapters, which is not read",
	} {
		if strings.Contains(name, part) {
			return fmt.Errorf("%.120q is %s; fold the adapters into the model (merge_and_unload in PEFT)", name, why)
		}
	}
	return fmt.Errorf("%.120q does not adapt a matrix of attention or of the feed-forward network of %s, expected names such as %s", name, family, peftPrefix+module+peftA)
}

// summary is what a run file would say of the adapters: the first one's rank and scale.
func summary(mods []peftModule) model.LoRA {
	var attention, ffn bool
	for _, m := range mods {
		if m.Attention() {
			attention = true
		} else {
			ffn = true
		}
	}
	c := model.LoRA{Rank: mods[0].rank, Alpha: mods[0].scale * float64(mods[0].rank)}
	switch {
	case !ffn:
		c.Targets = []string{model.TargetAttention}
	case !attention:
		c.Targets = []string{model.TargetFFN}
	}
	return c
}

// joinModules makes the adapters of blocks from those of modules. The modules of a block
// that share A (as all do that were written from a block) share it again; others stand side
// by side, each with columns of B that are 0 for the other modules: the block's rank is the
// sum of theirs.
func joinModules(mods []peftModule, own, set *param.Set) (*model.Adapters, error) {
	blocks := map[string][]peftModule{}
	for _, m := range mods {
		blocks[m.Block] = append(blocks[m.Block], m)
	}
	ranks, shared := map[string]int{}, map[string]bool{}
	for name, of := range blocks {
		shared[name] = shareA(of, own, set)
		for _, m := range of {
			if ranks[name] = ranks[name] + m.rank; shared[name] {
				ranks[name] = m.rank
			}
		}
	}
	joined, err := param.New(model.AdapterSpecsOf(set, ranks))
	if err != nil {
		return nil, err
	}
	scale := mods[0].scale
	if scale == 0 { // an alpha of 0
		scale = 1
	}
	for name, of := range blocks {
		at := 0
		for _, m := range of {
			m.Join(set, own, joined, model.Share{At: at, Scale: float32(m.scale / scale)})
			if !shared[name] {
				at += m.rank
			}
		}
	}
	return &model.Adapters{Set: joined, Scale: float32(scale)}, nil
}

// shareA reports whether all modules have the same A.
func shareA(of []peftModule, own, set *param.Set) bool {
	first := own.Param(of[0].A(set)).Data()
	for _, m := range of[1:] {
		if m.rank != of[0].rank || !slices.Equal(own.Param(m.A(set)).Data(), first) {
			return false
		}
	}
	return true
}

package bundle

import (
	"io"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// peftFile is the adapter_config.json that is written for PEFT.
type peftFile struct {
	Type         string             `json:"peft_type"`
	Task         *string            `json:"task_type"`
	Base         string             `json:"base_model_name_or_path"`
	Rank         int                `json:"r"`
	Alpha        float64            `json:"lora_alpha"`
	RankPattern  map[string]int     `json:"rank_pattern"`
	AlphaPattern map[string]float64 `json:"alpha_pattern"`
	Targets      []string           `json:"target_modules"`
	Conv         bool               `json:"fan_in_fan_out"`
	Bias         string             `json:"bias"`
	Dropout      float64            `json:"lora_dropout"`
	Init         bool               `json:"init_lora_weights"`
	Inference    bool               `json:"inference_mode"`
	RSLoRA       bool               `json:"use_rslora"`
	DoRA         bool               `json:"use_dora"`
	Saved        []string           `json:"modules_to_save"`
}

// AdapterDir are the files of a directory of adapters without their model, as the PEFT
// library reads them; base is the model's directory: absolute, or relative to that
// directory. Modules that are parts of one block are written with the same A.
func (b *Bundle) AdapterDir(a *model.Adapters, base string) ([]checkpoint.File, error) {
	var mods []peftModule
	all := b.Model.Table().AdapterModules(b.Set)
	for _, m := range all {
		if rank := adapterRank(a.Set, m); rank > 0 {
			mods = append(mods, peftModule{AdapterModule: m, at: m.Name, rank: rank, scale: float64(a.Scale)})
		}
	}
	own, tensors, err := layModules(mods, b)
	if err != nil {
		return nil, err
	}
	size, err := checkpoint.WeightsSize(own, tensors, "F32")
	if err != nil {
		return nil, err
	}
	weights := checkpoint.File{Name: peftWeights, Size: size, Write: func(w io.Writer) error {
		own.Weights = own.NewSlab()
		defer own.Close()
		for _, m := range mods {
			m.Part(b.Set, own, a.Set)
		}
		return checkpoint.WriteWeights(w, own, tensors, "F32")
	}}
	filled, err := param.New(specsOf(own))
	if err != nil {
		return nil, err
	}
	defer filled.Close()
	for _, m := range mods {
		m.Part(b.Set, filled, a.Set)
	}
	llama, err := b.ggufAdapter(mods, filled)
	return append([]checkpoint.File{checkpoint.JSONFile(adapterConfig, describe(b, mods, all, base)), weights}, llama...), err
}

// specsOf are those of a set.
func specsOf(set *param.Set) (out []param.Spec) {
	for _, p := range set.Params {
		out = append(out, p.Spec)
	}
	return out
}

// adapterRank is the rank of the adapter of a module's block; 0 without one.
func adapterRank(adapters *param.Set, m model.AdapterModule) int {
	block := adapters.Block(m.Block + graph.AdapterB)
	if block == nil {
		return 0
	}
	dims := block.Params[0].Dims
	return dims[len(dims)-1].Size
}

// describe is the adapter_config.json of modules, some of all.
func describe(b *Bundle, mods []peftModule, all []model.AdapterModule, base string) peftFile {
	f := peftFile{Type: "LORA", Base: base, Bias: "none", Init: true, Inference: true, RankPattern: map[string]int{}, AlphaPattern: map[string]float64{}}
	if _, ok := b.Model.(model.Classifier); !ok {
		task := "CAUSAL_LM"
		f.Task = &task
	}
	for i, m := range mods {
		alpha := m.scale * float64(m.rank)
		if i == 0 {
			f.Rank, f.Alpha, f.Conv = m.rank, alpha, m.Conv
		}
		if m.rank != f.Rank {
			f.RankPattern[m.Name], f.AlphaPattern[m.Name] = m.rank, alpha
		}
	}
	f.Targets = targets(mods, all)
	return f
}

// targets are what PEFT looks for at the end of modules' names: the last part of them
// where no other module has it, else whole names.
func targets(mods []peftModule, all []model.AdapterModule) (out []string) {
	last := func(name string) string { return name[strings.LastIndex(name, ".")+1:] }
	others := map[string]bool{}
	for _, m := range all {
		if !slices.ContainsFunc(mods, func(o peftModule) bool { return o.Name == m.Name }) {
			others[last(m.Name)] = true
		}
	}
	for _, m := range mods {
		name := last(m.Name)
		if others[name] {
			name = m.Name
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

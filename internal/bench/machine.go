package bench

import (
	"fmt"
	"io"
	"runtime"
	"sort"
	"strings"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/train"
	"golang.org/x/sys/cpu"
)

// MachineOptions say what Measure plans and with what it measures.
type MachineOptions struct {
	Batch, Context int // sequences at a time and tokens of each, of the sizes that are planned
	Threads        int // 0 is one a core
	Version        string
	// Available is the memory that this process may take, who says so, and whether it is known.
	Available func() (int64, string, bool)
}

// Machine is what doctor says of a machine.
type Machine struct {
	Version  string        `json:"version"`
	System   string        `json:"system"` // operating system and architecture
	Features []string      `json:"features"`
	Paths    []string      `json:"paths"` // of the kernels, those that this CPU can run
	Path     string        `json:"path"`  // the one in use
	Cores    int           `json:"cores"`
	Threads  int           `json:"threads"`
	PeakF32  float64       `json:"peak_f32_gflops"`  // measured
	PeakBF16 float64       `json:"peak_bf16_gflops"` // measured; 0 without such instructions
	ReadGBs  float64       `json:"read_gb_s"`        // measured
	Memory   int64         `json:"memory"`           // bytes of the machine; 0 where unknown
	Limit    int64         `json:"limit"`            // of the control group; 0 for none
	Free     int64         `json:"free"`             // what this process may still take; 0 where unknown
	Batch    int           `json:"batch"`            // sequences at a time of the sizes below
	Context  int           `json:"context"`
	Sizes    []MachineSize `json:"sizes"`
	Manners  []Manner      `json:"manners"`
	Tasks    []Manner      `json:"tasks"`
	known    bool          // that Free is
}

// Manner is a way to train, as keys of a run file.
type Manner struct {
	Name string   `json:"name"`
	Set  []string `json:"set"`
}

// MachineSize is what training one of the sizes by name takes.
type MachineSize struct {
	Model  string  `json:"model"`
	Params int     `json:"params"`
	Bytes  []int64 `json:"bytes"`      // planned, in each of the Manners
	Fits   []bool  `json:"fits"`       // where free memory is known
	Tasks  []int64 `json:"task_bytes"` // planned, of each of the Tasks
	TaskOK []bool  `json:"task_fits"`
}

// Manners are the ways to train that doctor plans, from the roomiest to the leanest.
// train.precision by itself changes no memory: weights and gradients stay float32.
var Manners = []Manner{
	{"f32", []string{"train.precision=f32"}},
	{"bf16", []string{"train.precision=bf16", "optim.moments=bf16"}},
	{"lean", []string{"train.precision=bf16", "optim.moments=bf16", "train.recompute=layer"}},
}

// Measure measures the peaks of a machine and plans what training each of the sizes by
// name takes there; it needs no memory for the models.
func (o MachineOptions) Measure() (*Machine, error) {
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	r := &Machine{
		Version: o.Version, System: runtime.GOOS + "/" + runtime.GOARCH, Features: features(), Paths: kernel.Paths(), Path: kernel.CurrentPath(),
		Cores: runtime.NumCPU(), Threads: pool.Threads(), Batch: o.Batch, Context: o.Context, Manners: Manners, Tasks: Tasks,
		PeakF32: kernel.PeakFLOPS(pool, 0.4) / 1e9, PeakBF16: kernel.PeakBF16(pool, 0.4) / 1e9, ReadGBs: kernel.ReadBandwidth(pool) / 1e9,
	}
	r.Memory, r.Limit = sysmem.Installed()
	r.Free, _, r.known = o.Available()
	for _, name := range model.Names() {
		s, err := r.plan(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		r.Sizes = append(r.Sizes, s)
	}
	sort.SliceStable(r.Sizes, func(i, j int) bool { return r.Sizes[i].Params < r.Sizes[j].Params })
	return r, nil
}

// manner is a run of one step in a manner. Images have as many tokens as their model takes.
func (r *Machine) manner(way Manner, m model.Model) (config.Run, error) {
	c := train.Default()
	c.Steps, c.Batch, c.MicroBatch, c.Context = 1, r.Batch, r.Batch, m.Context()
	return manner(config.Run{Train: c, Optim: optim.Default()}, way.Set)
}

// plan is the training memory of a size in every manner.
func (r *Machine) plan(name string) (MachineSize, error) {
	sizes := model.Sizes{Name: name}
	if !sizes.Images() {
		sizes.Context = r.Context
	}
	m, err := model.New(sizes)
	if err != nil {
		return MachineSize{}, err
	}
	shapes, err := param.Layout(m.Specs())
	if err != nil {
		return MachineSize{}, err
	}
	s := MachineSize{Model: name, Params: shapes.Count()}
	for _, way := range Manners {
		run, err := r.manner(way, m)
		if err != nil {
			return s, err
		}
		mem, err := train.Footprint(run.Train, run.Optim, run.LoRA, m, shapes, true)
		if err != nil {
			return s, err
		}
		s.Bytes = append(s.Bytes, mem.Total())
		if r.known {
			s.Fits = append(s.Fits, mem.Total() <= r.Free)
		}
	}
	return s, r.planTasks(&s, m, shapes)
}

// String is the measurements and the table of sizes.
func (r *Machine) String() string {
	out := &strings.Builder{}
	orUnknown := func(n int64, none string) string {
		if n == 0 {
			return none
		}
		return units.Bytes(n)
	}
	fmt.Fprintf(out, "ecospa     %s, %s\n", r.Version, r.System)
	fmt.Fprintf(out, "processor  %s, %s; %s\n", units.Plural(r.Cores, "core"), units.Plural(r.Threads, "thread"), strings.Join(r.Features, " "))
	fmt.Fprintf(out, "kernels    %s (here: %s)\n", r.Path, strings.Join(r.Paths, ", "))
	bf16 := "no bfloat16 instructions: train.precision bf16 saves no time"
	if r.PeakBF16 > 0 {
		bf16 = fmt.Sprintf("%.0f GFLOP/s in bf16", r.PeakBF16)
	}
	fmt.Fprintf(out, "peak       %.0f GFLOP/s in f32, memory is read at %.1f GB/s\n           %s\n", r.PeakF32, r.ReadGBs, bf16)
	free := "how much is free is not known"
	if r.known {
		free = units.Bytes(r.Free) + " free"
	}
	fmt.Fprintf(out, "memory     %s, control group's limit %s, %s\n\n", orUnknown(r.Memory, "unknown"), orUnknown(r.Limit, "none"), free)
	fmt.Fprintf(out, "Planned memory of training %d x %d tokens (or %[1]d images) a step, with pruning:\n\n", r.Batch, r.Context)
	r.table(out, r.Manners, func(s MachineSize) ([]int64, []bool) { return s.Bytes, s.Fits })
	fmt.Fprintf(out, "\nThe same at the least, by what is to be done (- is not for this family):\n\n")
	r.table(out, r.Tasks, func(s MachineSize) ([]int64, []bool) { return s.Tasks, s.TaskOK })
	return out.String()
}

// table has a row a size and a column a manner, and what the manners are after it.
func (r *Machine) table(out io.Writer, ways []Manner, of func(MachineSize) ([]int64, []bool)) {
	head := []string{"model", "parameters"}
	for _, w := range ways {
		head = append(head, w.Name)
	}
	t := units.NewTable(head...)
	for _, s := range r.Sizes {
		row := []any{s.Model, units.Count(float64(s.Params))}
		bytes, fits := of(s)
		for i, b := range bytes {
			cell := units.Bytes(b)
			switch {
			case b == 0:
				cell = "-"
			case r.known && !fits[i]:
				cell += " !"
			}
			row = append(row, cell)
		}
		t.Add(row...)
	}
	t.Print(out)
	fmt.Fprint(out, "! is more than is free\n\n")
	for _, w := range ways {
		var set []string
		for _, s := range w.Set {
			set = append(set, "--set "+s)
		}
		lines := units.FoldWords(set, 9)
		fmt.Fprintf(out, "%-8s %s\n", w.Name, strings.Join(lines, "\n         "))
	}
}

// features are the vector extensions that the kernels could use.
func features() []string {
	have := []string{}
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"avx2", cpu.X86.HasAVX2}, {"fma", cpu.X86.HasFMA}, {"avx512f", cpu.X86.HasAVX512F}, {"avx512bw", cpu.X86.HasAVX512BW}, {"avx512vl", cpu.X86.HasAVX512VL},
		{"avx512_bf16", cpu.X86.HasAVX512BF16}, {"amx_bf16", cpu.X86.HasAMXBF16}, {"asimd", cpu.ARM64.HasASIMD}, {"sve", cpu.ARM64.HasSVE},
	} {
		if f.has {
			have = append(have, f.name)
		}
	}
	return have
}

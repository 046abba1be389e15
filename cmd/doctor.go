package cmd

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sort"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/cpu"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/train"
)

// DoctorResult is what doctor prints with --json.
type DoctorResult struct {
	Version   string         `json:"version"`
	System    string         `json:"system"` // operating system and architecture
	Features  []string       `json:"features"`
	Paths     []string       `json:"paths"` // of the kernels, those that this CPU can run
	Path      string         `json:"path"`  // the one in use
	Cores     int            `json:"cores"`
	Threads   int            `json:"threads"`
	PeakF32   float64        `json:"peak_f32_gflops"`  // measured
	PeakBF16  float64        `json:"peak_bf16_gflops"` // measured; 0 without such instructions
	ReadGBs   float64        `json:"read_gb_s"`        // measured
	Memory    int64          `json:"memory"`           // bytes of the machine; 0 where unknown
	Limit     int64          `json:"limit"`            // of the control group; 0 for none
	Free      int64          `json:"free"`             // what this process may still take; 0 where unknown
	Batch     int            `json:"batch"`            // sequences at a time of the sizes below
	Context   int            `json:"context"`
	Sizes     []DoctorSize   `json:"sizes"`
	Manners   []DoctorManner `json:"manners"`
	freeKnown bool
}

// DoctorManner is a way to train, as keys of a run file.
type DoctorManner struct {
	Name string   `json:"name"`
	Set  []string `json:"set"`
}

// DoctorSize is what training one of the sizes by name takes.
type DoctorSize struct {
	Model  string  `json:"model"`
	Params int     `json:"params"`
	Bytes  []int64 `json:"bytes"` // planned, in each of the manners
	Fits   []bool  `json:"fits"`  // where free memory is known
}

// manners are the ways to train that doctor plans, from the roomiest to the leanest.
// train.precision by itself changes no memory: weights and gradients stay float32.
var manners = []DoctorManner{
	{"f32", []string{"train.precision=f32"}},
	{"bf16", []string{"train.precision=bf16", "optim.moments=bf16"}},
	{"lean", []string{"train.precision=bf16", "optim.moments=bf16", "train.recompute=layer"}},
}

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "say what this machine can do and what will train on it",
		Description: "Measures the arithmetic peak and the memory bandwidth (a second or two), reads the memory that is left\n" +
			"and the control group's limit, and plans the training memory of every size by name. Peaks are of this moment:\n" +
			"other work on the machine lowers them.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "batch", Value: 4, Usage: "sequences at a time, `B`, of the sizes that are planned"},
			&cli.IntFlag{Name: "context", Value: 256, Usage: "tokens a sequence, `T`"},
			threadsFlag(),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.Int("batch") < 1 || c.Int("batch") > 1<<12 || c.Int("context") < 1 || c.Int("context") > 1<<16 || c.Int("threads") < 0 {
				return fault.Usage(errors.New("--batch is expected to be 1 to 4096, --context 1 to 65536, --threads at least 0"))
			}
			return RunDoctor(c.Int("batch"), c.Int("context"), c.Int("threads"), c.Bool("json"), c.App.Writer)
		},
	}
}

// RunDoctor measures and plans; it needs no memory for the models.
func RunDoctor(batch, context, threads int, asJSON bool, out io.Writer) error {
	pool := kernel.NewPool(threads)
	defer pool.Close()
	r := DoctorResult{
		Version: Version, System: runtime.GOOS + "/" + runtime.GOARCH, Features: features(), Paths: kernel.Paths(), Path: kernel.CurrentPath(),
		Cores: runtime.NumCPU(), Threads: pool.Threads(), Batch: batch, Context: context, Manners: manners,
		PeakF32: kernel.PeakFLOPS(pool, 0.4) / 1e9, PeakBF16: kernel.PeakBF16(pool, 0.4) / 1e9, ReadGBs: kernel.ReadBandwidth(pool) / 1e9,
	}
	r.Memory, r.Limit = sysmem.Installed()
	r.Free, _, r.freeKnown = available()
	for _, name := range model.Names() {
		s, err := r.plan(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.Sizes = append(r.Sizes, s)
	}
	sort.SliceStable(r.Sizes, func(i, j int) bool { return r.Sizes[i].Params < r.Sizes[j].Params })
	if asJSON {
		return printJSON(out, r)
	}
	r.print(out)
	return nil
}

// plan is the training memory of a size in every manner.
func (r *DoctorResult) plan(name string) (DoctorSize, error) {
	sizes := model.Sizes{Name: name}
	if !sizes.Images() {
		sizes.Context = r.Context
	}
	m, err := model.New(sizes)
	if err != nil {
		return DoctorSize{}, err
	}
	shapes, err := param.Layout(m.Specs())
	if err != nil {
		return DoctorSize{}, err
	}
	s := DoctorSize{Model: name, Params: shapes.Count()}
	for _, way := range manners {
		c, o := train.Default(), optim.Default()
		c.Batch, c.MicroBatch, c.Context = r.Batch, r.Batch, m.Context() // images have as many tokens as their model takes
		for _, kv := range way.Set {
			switch key, value, _ := strings.Cut(kv, "="); key {
			case "train.precision":
				c.Precision = value
			case "train.recompute":
				c.Recompute = value
			case "optim.moments":
				o.Moments = value
			}
		}
		mem, err := train.Footprint(c, o, train.LoRA{}, m, shapes, true)
		if err != nil {
			return s, err
		}
		s.Bytes = append(s.Bytes, mem.Total())
		if r.freeKnown {
			s.Fits = append(s.Fits, mem.Total() <= r.Free)
		}
	}
	return s, nil
}

func (r *DoctorResult) print(out io.Writer) {
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
	fmt.Fprintf(out, "peak       %.0f GFLOP/s in f32, %s; memory is read at %.1f GB/s\n", r.PeakF32, bf16, r.ReadGBs)
	free := "how much is free is not known on this system"
	if r.freeKnown {
		free = units.Bytes(r.Free) + " free"
	}
	fmt.Fprintf(out, "memory     %s, control group's limit %s, %s\n\n", orUnknown(r.Memory, "unknown"), orUnknown(r.Limit, "none"), free)
	fmt.Fprintf(out, "Planned memory of training %d x %d tokens (or %[1]d images) at a time, pruning included:\n\n", r.Batch, r.Context)
	head := []string{"model", "parameters"}
	for _, w := range r.Manners {
		head = append(head, w.Name)
	}
	t := newTable(head...)
	for _, s := range r.Sizes {
		row := []any{s.Model, units.Count(float64(s.Params))}
		for i, b := range s.Bytes {
			cell := units.Bytes(b)
			if r.freeKnown && !s.Fits[i] {
				cell += " too much"
			}
			row = append(row, cell)
		}
		t.add(row...)
	}
	t.print(out)
	fmt.Fprintln(out)
	for _, w := range r.Manners {
		fmt.Fprintf(out, "%-5s --set %s\n", w.Name, strings.Join(w.Set, " --set "))
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

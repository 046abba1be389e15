package bench

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// Result has the keys of the PyTorch yardstick's line, and more.
type Result struct {
	Engine    string  `json:"engine"`
	Model     string  `json:"model"`
	Mode      string  `json:"mode"` // train, infer, prefill or decode
	DType     string  `json:"dtype"`
	Params    int     `json:"params"`
	Batch     int     `json:"batch"`
	Seq       int     `json:"seq"`
	Threads   int     `json:"threads"`
	Ms        float64 `json:"ms"`           // median of a step
	PerS      float64 `json:"per_s"`        // tokens or images a second
	Unit      string  `json:"unit"`         // tokens or images
	PeakRSS   int64   `json:"peak_rss_mib"` // MiB
	RSS       int64   `json:"rss_mib"`      // MiB at the end
	MFU       float64 `json:"mfu"`          // FLOPs that the products need over what the measured peak allows in that time
	PeakGF    float64 `json:"peak_gflops"`  // measured, of the type
	GFLOPStep float64 `json:"gflop_step"`
	CPU       string  `json:"cpu"`         // kernels' path
	HeapStep  int64   `json:"heap_step"`   // bytes of Go heap allocated in a step, median; inference: mean
	Planned   int64   `json:"planned_mib"` // MiB by plan
	// Of training, bytes of the plan: what the values of a step take beside weights, gradients and
	// moments, and what they take besides of gradients that are not written yet.
	Arena       int64  `json:"arena_bytes,omitempty"`
	InGradients int64  `json:"arena_in_gradients_bytes,omitempty"`
	Widths      [3]int `json:"widths"` // of the first layer: q and k, v and o, feed-forward
	// Of decoding: what a token reads, weights and the cache, over what the measured
	// read bandwidth allows in that time.
	ReadGBs   float64 `json:"read_gb_s,omitempty"`
	ReadShare float64 `json:"read_share,omitempty"`
	// Of several ranks: the batch, the rate and the FLOPs are of all of them, threads,
	// peak and memory of rank 0.
	Ranks     int    `json:"ranks,omitempty"`
	Wire      string `json:"wire,omitempty"`            // type of the gradients on it
	WireBytes int64  `json:"wire_bytes_step,omitempty"` // payload that a rank gives to sums and gathers in a step, median; a ring carries 2(N-1)/N of it
	Moments   int64  `json:"moments_bytes,omitempty"`   // of the optimizer, a rank
}

// Pair is what bench step --versus-dense prints with --json: two steps of one
// run, and what the second has of the first.
type Pair struct {
	Dense    Result  `json:"dense"`
	Pruned   Result  `json:"pruned"`
	Params   float64 `json:"params_ratio"`
	Planned  float64 `json:"planned_ratio"`
	Resident float64 `json:"resident_ratio"` // after the steps, not the peak, which the dense model set
	Time     float64 `json:"time_ratio"`
}

// result fills in what every benchmark of a model reports.
func (o Options) result(mode string, set *param.Set, pool *kernel.Pool, ms, flops float64) Result {
	r := Result{
		Engine: o.Engine, Model: o.Model, Mode: mode, DType: "f32", Params: set.Count(), Batch: o.Batch, Seq: o.Seq,
		Threads: pool.Threads(), Ms: ms, Unit: "tokens", GFLOPStep: flops / 1e9, CPU: kernel.CurrentPath(),
	}
	tokens := float64(o.Batch * o.Seq)
	if mode == "decode" || o.images() {
		tokens = float64(o.Batch)
	}
	if o.images() {
		r.Unit = "images"
	}
	r.PerS = tokens / ms * 1e3
	now, peak := sysmem.Resident() // before the peak's own measurement
	r.PeakRSS, r.RSS = peak>>20, now>>20
	for i, kind := range []string{"qk", "vo", "ffn"} {
		d := set.Dim("layer.0." + kind)
		if r.Widths[i] = d.Size; d.Track {
			r.Widths[i] *= 2 // rotation pairs
		}
	}
	if o.BF16 {
		r.DType = "bf16"
	}
	if o.Q8 {
		r.DType = string(param.Q8)
	}
	rate := max(o.peak, o.rate(pool))
	r.PeakGF = rate / 1e9
	r.MFU = flops / (ms / 1e3) / rate
	return r
}

// String is three lines, and more of several ranks and of decoding.
func (r Result) String() string {
	s := fmt.Sprintf("%s %s %s, %d parameters, batch %d x %d\n    %.1f ms, %.0f %s/s, peak resident %d MiB\n    %.2f of the peak of %.0f GFLOP/s on %s, %s\n",
		r.Model, r.Mode, r.DType, r.Params, r.Batch, r.Seq, r.Ms, r.PerS, r.Unit, r.PeakRSS, r.MFU, r.PeakGF, units.Plural(r.Threads, "thread"), r.CPU)
	if r.Ranks > 1 {
		s += fmt.Sprintf("    %d ranks, %.2f MB of %s gradients per step and rank\n", r.Ranks, float64(r.WireBytes)/1e6, r.Wire)
	}
	if r.ReadShare > 0 {
		s += fmt.Sprintf("    reads %.2f of what %.1f GB/s allow\n", r.ReadShare, r.ReadGBs)
	}
	return s
}

// String is both steps and what the second has of the first.
func (v Pair) String() string {
	return fmt.Sprintf("%s%spruned over dense: %.3f of the parameters, %.3f of the time,\n    %.3f of the planned memory, %.3f of the resident\n",
		v.Dense, v.Pruned, v.Params, v.Time, v.Planned, v.Resident)
}

package recovery

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/optim"
)

// Options say how a child is trained. The zero value of a field is its default.
type Options struct {
	// Tokens is the budget in tokens; Time, where Tokens is 0, in wall time, as many
	// steps as the first ones say will fit.
	Tokens int64
	Time   time.Duration
	// Context is the length of a sequence in tokens, Batch the sequences of a step. The
	// context should be that of use: what is recovered at short windows stays broken
	// behind them.
	Context, Batch int
	// Short is the share of the steps, the first of them, of ShortTokens tokens at most, whose
	// sequences are made of windows of about ShortWindow tokens from different places, which
	// teaches more a token at first; the rest has the whole context, or the end of it would
	// stay broken. Default DefaultShort, negative is none.
	Short float64
	// Rate is the learning rate as a share of each tensor's root mean square; by default it
	// follows from the damage and the steps, at most HighestRate (by apollo apolloRate times as much). Gain is what it is multiplied by for norm gains; default DefaultGain.
	Rate, Gain float64
	// LM is the share of the language model's own loss beside the parent's, 0 to 1.
	LM float64
	// Hidden is the weight of the residual stream's error; default DefaultHidden,
	// negative is none. It falls to 0 over the first Fade tokens; default DefaultFade.
	Hidden float64
	Fade   int64
	// Evaluations is how often the held-out loss is measured at most; default 10. See measuring.
	Evaluations int
	// Patience is how many evaluations after the lowest of the second half may be no lower
	// before the training stops; default 4.
	Patience int
	BF16     bool // products read bfloat16
	// Optimizer is AdamW (also ""), which trains float32 weights with two moments and all
	// gradients at once, or Apollo: weights as they are stored, float32 or bfloat16, each block of
	// which is updated during the backward pass, with a few numbers of state a row.
	Optimizer string `json:",omitempty"`
	// Recompute is what of the child is computed again in the backward pass.
	Recompute graph.Recompute `json:",omitempty"`
}

// The optimizers.
const (
	AdamW  = "adamw"
	Apollo = "apollo"
)

// Defaults, measured in docs/results/quality.md.
const (
	HighestRate   = 0.024
	DefaultGain   = 0.05
	DefaultHidden = 10
	DefaultFade   = 400_000
	DefaultShort  = 0.85
	ShortWindow   = 128
	ShortTokens   = 170_000
)

// apolloRate is what rates are multiplied by for apollo, measured in docs/results/quality.md.
const apolloRate = 3

// leastDamage is what a child counts for that is about as good as its parent, nats a token.
const leastDamage = 0.01

// batchTokens is what a step should have about: with few tokens to learn from, many
// small steps do more than few large ones.
const batchTokens = 512

// Resolve fills the defaults in for a context.
func (o Options) Resolve() Options {
	def := func(x *float64, v float64) {
		if *x == 0 {
			*x = v
		}
	}
	def(&o.Gain, DefaultGain)
	def(&o.Hidden, DefaultHidden)
	def(&o.Short, DefaultShort)
	if o.Fade == 0 {
		o.Fade = DefaultFade
	}
	if o.Evaluations == 0 {
		o.Evaluations = 10
	}
	if o.Patience == 0 {
		o.Patience = 4
	}
	if o.Batch == 0 {
		o.Batch = max(1, batchTokens/max(1, o.Context))
	}
	return o
}

func (o Options) check() error {
	switch {
	case o.Tokens <= 0 && o.Time <= 0:
		return fmt.Errorf("recovery: a budget of %d tokens and %s, expected one of them above 0", o.Tokens, o.Time)
	case o.Context < 2 || o.Batch < 1:
		return fmt.Errorf("recovery: %d sequences of %d tokens, expected at least 1 of 2", o.Batch, o.Context)
	case !(o.Rate >= 0 && o.Rate <= 1) || !(o.Gain >= 0 && o.Gain <= 1):
		return fmt.Errorf("recovery: rate %g and gain %g, expected above 0 to 1", o.Rate, o.Gain)
	case !(o.Short <= 1):
		return fmt.Errorf("recovery: short is %g, expected a share", o.Short)
	case o.Optimizer != "" && o.Optimizer != AdamW && o.Optimizer != Apollo:
		return fmt.Errorf("recovery: optimizer %q, expected %s or %s", o.Optimizer, AdamW, Apollo)
	case !(o.LM >= 0 && o.LM < 1):
		return fmt.Errorf("recovery: lm is %g, expected 0 to below 1", o.LM)
	}
	return nil
}

// Windows is how many short windows a sequence of the first steps is made of, 1 where there
// are none.
func (o Options) Windows() int {
	if o.Short <= 0 {
		return 1
	}
	n := max(1, o.Context/ShortWindow)
	for o.Context%n != 0 {
		n--
	}
	return n
}

// rate is the learning rate, where none is given, for a child whose loss is so many nats above
// its parent's: the less there is to mend and the more steps there are, the smaller a step has
// to be. Weights that move at random by rate a step come rate·√steps far, and a loss grows with
// the square of how far they are off, whence the form; the factor is measured
// (docs/results/quality.md).
func (o Options) rate(damage float64, steps int) float64 {
	by := 1.0
	if o.inBackward() {
		by = apolloRate
	}
	switch {
	case o.Rate > 0:
		return o.Rate
	case math.IsNaN(damage): // not known
		return by * HighestRate
	}
	return by * min(HighestRate, 0.4*math.Sqrt(max(damage, leastDamage)/float64(steps)))
}

// short is how many steps of so many have short windows.
func (o Options) short(steps int) int {
	n := min(o.Short*float64(steps), ShortTokens/float64(o.Batch*o.Context))
	return int(math.Ceil(max(0, n)))
}

// tries is how many steps take the time before the first one: two where a budget of time goes by it,
// as one touches fresh memory.
func (o Options) tries() int {
	if o.Tokens > 0 {
		return 1
	}
	return 2
}

// steps is the number of steps of a budget in tokens.
func (o Options) steps() int { return int(max(1, o.Tokens/int64(o.Batch*o.Context))) }

// pull is the weight of the residual stream's error at a step, divided by sites.
func (o Options) pull(step, sites int) float32 {
	if o.Hidden <= 0 || sites == 0 {
		return 0
	}
	seen := float64(step) * float64(o.Batch*o.Context)
	return float32(o.Hidden * max(0, 1-seen/float64(o.Fade)) / float64(sites))
}

// inBackward reports whether blocks are updated during the backward pass.
func (o Options) inBackward() bool { return o.Optimizer == Apollo }

// optimizer is Adam, or APOLLO, without decay; the rate rises over a tenth of the steps, at most
// 50, and falls to 0 along a cosine.
func (o Options) optimizer(steps int) optim.Config {
	c := optim.Default()
	if o.inBackward() {
		c.Name, c.InBackward = Apollo, true
	}
	c.LR, c.MinLR, c.WarmUp, c.WeightDecay, c.Beta1, c.Beta2 = o.Rate, 0, optim.Steps(min(50, steps/10)), 0, 0.9, 0.99
	return c
}

// ParseBudget reads a budget into the options: tokens as 200k or 1.5M, time as 90s, 3m
// or 1h.
func (o *Options) ParseBudget(s string) error {
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		o.Time = d
		return nil
	}
	number, scale := s, 1.0
	switch {
	case strings.HasSuffix(s, "k"):
		number, scale = strings.TrimSuffix(s, "k"), 1e3
	case strings.HasSuffix(s, "M"):
		number, scale = strings.TrimSuffix(s, "M"), 1e6
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n*scale >= 1 && n*scale <= 1e15) {
		return fmt.Errorf("%q is not a budget, expected tokens such as 200k or 1.5M, or time such as 90s, 3m or 1h", s)
	}
	o.Tokens = int64(n * scale)
	return nil
}

package optim

import "math"

// A Shape is a schedule after the warm-up: the learning rate at x, 0 at the end of the
// warm-up and 1 at the last step.
type Shape func(c Config, x float64) float64

// cooldown is the share of the steps after the warm-up in which schedules that have a
// cooldown fall.
const cooldown = 0.2

var shapes = map[string]Shape{}

// RegisterSchedule adds a schedule under the name that optim.schedule gives. It panics
// when the name is taken.
func RegisterSchedule(name string, s Shape) {
	if shapes[name] != nil {
		panic("optim: schedule " + name + " is registered twice")
	}
	shapes[name] = s
}

func init() {
	// cosine is the half period of SGDR, https://arxiv.org/abs/1608.03983.
	RegisterSchedule("cosine", cosine)
	RegisterSchedule("linear", func(c Config, x float64) float64 { return c.fall(1 - x) })
	RegisterSchedule("constant", func(c Config, _ float64) float64 { return c.LR })
}

func cosine(c Config, x float64) float64 { return c.fall((1 + math.Cos(math.Pi*x)) / 2) }

// fall is LR at y = 1 and MinLR at y = 0.
func (c Config) fall(y float64) float64 { return c.MinLR + (c.LR-c.MinLR)*y }

// Rate is the learning rate of a step (counted from 1) of a run of steps
// steps: linear warm-up from 0 to LR over WarmUp steps, then the schedule's
// shape, to the last step. The Config must be resolved and valid.
func (c Config) Rate(step, steps int) float64 {
	warm, err := c.WarmUp.Of(steps)
	if err != nil {
		panic("optim: Rate of a Config that was not validated")
	}
	if step <= warm {
		return c.LR * float64(step) / float64(warm)
	}
	shape, err := lookup(shapes, "schedule", c.Schedule)
	if err != nil {
		panic("optim: Rate of a Config that was not validated")
	}
	x := 1.0
	if steps > warm {
		x = math.Min(1, float64(step-warm)/float64(steps-warm))
	}
	return shape(c, x)
}

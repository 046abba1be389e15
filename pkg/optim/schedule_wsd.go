package optim

import "math"

// wsd is warm-up, stable, decay (https://arxiv.org/abs/2404.06395): LR up to the last fifth
// of the steps, in which it falls to MinLR by 1 - sqrt (https://arxiv.org/abs/2405.18392).
func init() {
	RegisterSchedule("wsd", func(c Config, x float64) float64 {
		if x <= 1-cooldown {
			return c.LR
		}
		return c.fall(1 - math.Sqrt((x-(1-cooldown))/cooldown))
	})
}

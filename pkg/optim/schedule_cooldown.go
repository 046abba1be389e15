package optim

// cosine-cooldown is cosine to MinLR up to the last fifth of the steps after the warm-up, in
// which the rate falls linearly to 0.
func init() {
	RegisterSchedule("cosine-cooldown", func(c Config, x float64) float64 {
		if x <= 1-cooldown {
			return cosine(c, x/(1-cooldown))
		}
		return c.MinLR * (1 - x) / cooldown
	})
}

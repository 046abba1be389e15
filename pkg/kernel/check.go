package kernel

const (
	badLength = "kernel: slice length does not fit the shape"
	badShape  = "kernel: shape is not positive or does not divide"
)

// need panics unless s holds at least n values.
func need[V float32 | int32](s []V, n int) {
	if len(s) < n {
		panic(badLength)
	}
}

// needs is need for several slices of one length.
func needs(n int, slices ...[]float32) {
	for _, s := range slices {
		if len(s) < n {
			panic(badLength)
		}
	}
}

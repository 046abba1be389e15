package coupled

// Point is one measurement of sensitivity: the loss in nats with a share of a
// group's units removed.
type Point struct {
	Removed float64 `json:"removed"`
	Loss    float64 `json:"loss"`
}

package model

// keys are a family's keys of config.json, a pointer to a struct of them.
type keys interface {
	// arch is the switches that the keys set; an error names the key.
	arch() (*Arch, error)
	// table is the family's table; it may depend on the keys.
	table() *Table
	// sized sets the keys from the model section of a run file.
	sized(Sizes) error
	// shaped sets the sizes that one layer of a uniform model has, for other programs.
	shaped(Shape)
	// layers keeps some of the layers, by number.
	layers(from []int)
	// own is the "ecospa" object.
	own() **Kept
}

// Shape is that of every layer of a model in a format that has one for all.
type Shape struct {
	KV, HeadDim, FFN int
	// Factors divide the frequencies theta^(-2j/HeadDim); nil when all are 1.
	Factors []float64
	Gain    float64 // multiplies what turns; 0 is 1
	// Narrowed says that HeadDim is not the dense model's.
	Narrowed bool
}

// endKeys are the keys that every decoder's config.json ends with.
type endKeys struct {
	BOS    *int    `json:"bos_token_id"`
	EOS    *eosIDs `json:"eos_token_id"`
	Ecospa *Kept   `json:"ecospa,omitempty"`
}

func (k *endKeys) own() **Kept { return &k.Ecospa }

// registerDecoder registers a family of decoders.
func registerDecoder(name string, defaults func() keys) {
	registerText(name, defaults, func(t text) Model {
		t.a.Causal = true
		return &decoder{t}
	})
}

var encoders = map[string]bool{}

// registerEncoder registers a family of encoders.
func registerEncoder(name string, defaults func() keys) {
	encoders[name] = true
	registerText(name, defaults, func(t text) Model { return &encoder{t} })
}

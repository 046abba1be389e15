package model

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/param"
)

// ropeScale is rope_scaling (transformers 4) or rope_parameters (transformers 5).
type ropeScale struct {
	Type     string  `json:"rope_type,omitempty"`
	OldType  string  `json:"type,omitempty"` // the key's older name
	Theta    float64 `json:"rope_theta,omitempty"`
	Factor   float64 `json:"factor,omitempty"`
	Low      float64 `json:"low_freq_factor,omitempty"`
	High     float64 `json:"high_freq_factor,omitempty"`
	Original float64 `json:"original_max_position_embeddings,omitempty"`

	// longrope divides the frequency of each pair by a number of its own, another one in long
	// texts. With one set it is how the rotation pairs that pruning leaves are told to other
	// programs.
	Short     []float64 `json:"short_factor,omitempty"`
	Long      []float64 `json:"long_factor,omitempty"`
	Attention *float64  `json:"attention_factor,omitempty"` // of yarn too

	yarn
}

// UnmarshalJSON refuses what is not one of the fields: a setting that nobody heeds
// would be another model. partial_rotary_factor may be 1, which is all of a head.
func (r *ropeScale) UnmarshalJSON(text []byte) error {
	type plain ropeScale
	v := struct {
		*plain
		Partial *float64 `json:"partial_rotary_factor"`
	}{plain: (*plain)(r)}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&v)
	var te *json.UnmarshalTypeError
	switch {
	case errors.As(err, &te) && te.Field == "":
		return fmt.Errorf("rope scaling %s", fault.WrongKind(te))
	case errors.As(err, &te):
		return fmt.Errorf("rope scaling: %s", fault.WrongKind(te))
	case err != nil:
		return cmp.Or(r.known(), fmt.Errorf("rope scaling: %w", err))
	}
	if v.Partial != nil && *v.Partial != 1 {
		return fmt.Errorf("rope scaling: partial_rotary_factor is %g, expected 1", *v.Partial)
	}
	return nil
}

// same reports whether both say the same; nil is the default. Theta is told apart
// from it.
func (r *ropeScale) same(o *ropeScale) bool {
	plain := func(r *ropeScale) ropeScale {
		if r.kind() == "default" {
			return ropeScale{Type: "default"}
		}
		c := *r
		c.Type, c.OldType, c.Theta = r.kind(), "", 0
		return c
	}
	return reflect.DeepEqual(plain(r), plain(o))
}

func (r *ropeScale) kind() string {
	switch {
	case r == nil || r.Type == "" && r.OldType == "":
		return "default"
	case r.Type != "":
		return r.Type
	}
	if r.OldType == "su" { // longrope's first name
		return "longrope"
	}
	return r.OldType
}

// check reports what cannot be, given the number of rotation pairs of a head.
func (r *ropeScale) check(pairs int) error {
	switch r.kind() {
	case "default":
		if r != nil && r.Type == "" && r.OldType == "" && (r.Factor != 0 || r.Low != 0 || r.High != 0 || len(r.Short)+len(r.Long) > 0) {
			return errors.New("rope scaling has no rope_type, expected one beside its factors: linear, llama3, yarn or longrope")
		}
		return nil
	case "yarn":
		return r.checkYarn()
	}
	if err := r.yarn.only(); err != nil {
		return err
	}
	switch r.kind() {
	case "linear":
		if !(r.Factor >= 1) {
			return fmt.Errorf("rope scaling factor is %g, expected at least 1", r.Factor)
		}
		return nil
	case "llama3":
		if !(r.Factor >= 1 && r.Low > 0 && r.High > r.Low && r.Original > 0) {
			return fmt.Errorf("llama3 rope scaling has factor %g, low_freq_factor %g, high_freq_factor %g, original_max_position_embeddings %g: expected factor >= 1, 0 < low < high, original > 0", r.Factor, r.Low, r.High, r.Original)
		}
		return nil
	case "longrope":
		return r.checkLong(pairs)
	}
	return r.known()
}

// known refuses a type of another name.
func (r *ropeScale) known() error {
	switch r.kind() {
	case "default", "linear", "llama3", "yarn", "longrope":
		return nil
	}
	return fmt.Errorf("rope scaling type is %q, expected default, linear, llama3, yarn or longrope", r.kind())
}

// checkLong: each pair has a factor for texts up to the original context and one for longer
// texts.
func (r *ropeScale) checkLong(pairs int) error {
	if len(r.Short) != pairs || len(r.Long) != pairs {
		return fmt.Errorf("longrope has %d short and %d long factors, expected %d of each", len(r.Short), len(r.Long), pairs)
	}
	for i, f := range slices.Concat(r.Short, r.Long) {
		if !(f > 0) || math.IsInf(f, 0) {
			return fmt.Errorf("longrope factor %d is %g, expected above 0", i, f)
		}
	}
	if r.Original != 0 && r.Original < 1 {
		return fmt.Errorf("longrope has original_max_position_embeddings %g, expected at least 1", r.Original)
	}
	return r.checkAttention()
}

func (r *ropeScale) checkAttention() error {
	if g := r.Attention; g != nil && (!(*g > 0) || math.IsInf(*g, 0)) {
		return fmt.Errorf("%s has attention_factor %g, expected above 0", r.kind(), *g)
	}
	return nil
}

// stretch makes the rotation what its scaling says of a model with texts of up to `positions`
// tokens; original is original_max_position_embeddings where it stands outside of the
// scaling, else 0. Texts beyond it turn by the long factors. Without an attention_factor it is
// sqrt(1 + ln(positions/original)/ln(original)) (https://arxiv.org/abs/2402.13753).
func (r *Rope) stretch(positions, original float64) *Rope {
	s := r.Scaling
	switch s.kind() {
	case "longrope":
	case "yarn":
		return r.stretchYarn(positions)
	default:
		return r
	}
	factor := s.Factor
	if original == 0 {
		original = s.Original
	}
	if original > 0 {
		factor = positions / original
	} else {
		original = positions
	}
	switch {
	case s.Attention != nil:
		r.Gain = *s.Attention
	case factor > 1 && original > 1:
		r.Gain = math.Sqrt(1 + math.Log(factor)/math.Log(original))
	}
	if !slices.Equal(s.Short, s.Long) && original < positions {
		r.LongAfter = int(original)
	}
	return r
}

// scale is the frequency w (radians a token) of pair j after scaling, in a long text or
// another. llama3 divides long wavelengths by Factor and blends between
// (https://arxiv.org/abs/2407.21783).
func (r *Rope) scale(w float64, j int, long bool) float64 {
	switch s := r.Scaling; s.kind() {
	case "linear":
		return w / s.Factor
	case "llama3":
		turns := s.Original * w / (2 * math.Pi) // rotations within the original context
		smooth := (turns - s.Low) / (s.High - s.Low)
		smooth = math.Max(0, math.Min(1, smooth))
		return (1-smooth)*w/s.Factor + smooth*w
	case "yarn":
		return r.yarn(w, j)
	case "longrope":
		if long {
			return w / s.Long[j]
		}
		return w / s.Short[j]
	}
	return w
}

// longrope is the scaling that divides frequencies by factors and multiplies what turns by a
// gain, 0 for 1.
func longrope(factors []float64, gain float64) *ropeScale {
	gain = cmp.Or(gain, 1)
	return &ropeScale{Type: "longrope", Short: factors, Long: factors, Attention: &gain, Factor: 1}
}

// Rotary is what decoders and encoders implement.
type Rotary interface {
	// Frequencies are the rotation frequencies of a layer of a set in texts that are not long, in radians a
	// token: of each pair that each K/V head still has; nil without rotary positions
	// (RoPE). One list serves all heads while the layer is whole.
	Frequencies(set *param.Set, layer int) [][]float64
}

// frequencies are those of a layer of a set, of long texts or of others; nil without rotary
// positions.
func (a *Arch) frequencies(set *param.Set, layer int, long bool) [][]float64 {
	r := a.rope(layer)
	if r == nil {
		return nil
	}
	origin := set.Origin(set.LayerDim(layer, param.QK).Name)
	if len(origin[0]) == a.HeadDim/2 {
		origin = origin[:1]
	}
	out := make([][]float64, len(origin))
	for g, pairs := range origin {
		out[g] = r.frequencies(pairs, long)
	}
	return out
}

// floats are the frequencies as the graph wants them.
func floats(all [][]float64) [][]float32 {
	out := make([][]float32, len(all))
	for g, list := range all {
		out[g] = make([]float32, len(list))
		for k, w := range list {
			out[g][k] = float32(w)
		}
	}
	return out
}

// LongAfter is the length of text beyond which a model turns by other frequencies, 0 for none.
func LongAfter(m Model) int {
	for _, r := range m.Arch().Rope {
		if r != nil && r.LongAfter > 0 {
			return r.LongAfter
		}
	}
	return 0
}

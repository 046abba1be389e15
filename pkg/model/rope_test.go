package model

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// Both spellings of rotation settings mean the same frequencies; what is not
// supported, or contradicts itself, is refused by name.
func TestRopeSpellings(t *testing.T) {
	const base = `{"model_type":"llama","vocab_size":8,"hidden_size":16,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,`
	frequencies := func(more string) ([]float64, error) {
		m, err := Parse([]byte(base + more + "}"))
		if err != nil {
			return nil, err
		}
		set, err := param.Layout(m.Specs())
		if err != nil {
			t.Fatal(err)
		}
		return m.(Rotary).Frequencies(set, 0)[0], nil
	}
	plain := func(theta, by float64) []float64 {
		var out []float64
		for j := range 4 {
			out = append(out, math.Pow(theta, -float64(j)/4)/by)
		}
		return out
	}
	const llama3 = `"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":32`
	for _, c := range []struct {
		a    string
		want []float64
	}{
		{`"rope_theta":10000`, plain(10000, 1)},
		{`"rope_theta":500,"rope_scaling":null`, plain(500, 1)},
		{`"rope_parameters":{"rope_type":"default","rope_theta":500}`, plain(500, 1)},
		{`"rope_parameters":{"rope_type":"default","rope_theta":500,"partial_rotary_factor":1.0}`, plain(500, 1)},
		{`"rope_theta":500,"rope_scaling":{"type":"linear","factor":4}`, plain(500, 4)},
		{`"rope_theta":500,"rope_scaling":{"rope_type":"linear","factor":4.0}`, plain(500, 4)},
		{`"rope_parameters":{"rope_type":"linear","factor":4,"rope_theta":500}`, plain(500, 4)},
		{`"rope_theta":500,"rope_scaling":{"type":"linear","factor":4},"rope_parameters":{"rope_type":"linear","factor":4,"rope_theta":500}`, plain(500, 4)},
	} {
		got, err := frequencies(c.a)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v (%v), expected %v", c.a, got, err, c.want)
		}
	}
	a, errA := frequencies(`"rope_theta":500,"rope_scaling":{` + llama3 + `}`)
	b, errB := frequencies(`"rope_parameters":{"rope_theta":500,` + llama3 + `}`)
	if errA != nil || errB != nil || !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, plain(500, 1)) {
		t.Errorf("llama3: %v (%v) and %v (%v)", a, errA, b, errB)
	}
	for _, c := range []struct{ more, want string }{
		{`"rope_scaling":{"type":"linear","factor":2},"rope_parameters":{"rope_type":"linear","factor":4}`, "rope_scaling and rope_parameters"},
		{`"rope_scaling":{"type":"linear","factor":2},"rope_parameters":{"rope_type":"default"}`, "rope_scaling and rope_parameters"},
		{`"rope_scaling":{"type":"dynamic","factor":2}`, `"dynamic"`},
		{`"rope_parameters":{"rope_type":"yarn","factor":2}`, `"yarn"`},
		{`"rope_parameters":{"rope_type":"yarn","factor":2,"beta_fast":32}`, "beta_fast"},
		{`"rope_parameters":{"rope_type":"default","partial_rotary_factor":0.5}`, "partial_rotary_factor"},
		{`"rope_scaling":{"type":"linear","factor":0.5}`, "factor"},
		{`"rope_scaling":[]`, "rope scaling is a array"},
		{`"rope_scaling":{"type":"linear","factor":"2"}`, "factor is a string"},
	} {
		if _, err := frequencies(c.more); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, expected an error about %s", c.more, err, c.want)
		}
	}
}

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
		{`"rope_parameters":{"rope_type":"yarn","factor":0.5}`, "factor is 0.5"},
		{`"rope_parameters":{"rope_type":"yarn"}`, "neither factor nor original"},
		{`"rope_parameters":{"rope_type":"yarn","factor":2,"beta_fast":1,"beta_slow":2}`, "beta_fast 1 and beta_slow 2"},
		{`"rope_parameters":{"rope_type":"yarn","factor":2,"original_max_position_embeddings":-3}`, "original_max_position_embeddings -3"},
		{`"rope_parameters":{"rope_type":"yarn","factor":2,"attention_factor":-1}`, "yarn has attention_factor -1"},
		{`"rope_parameters":{"rope_type":"yarn","factor":2,"mscale":-1}`, "mscale -1"},
		{`"rope_scaling":{"rope_type":"linear","factor":2,"truncate":false}`, "truncate"},
		{`"rope_scaling":{"type":"linear","factor":2,"beta_fast":32}`, "beta_fast"},
		{`"rope_parameters":{"rope_type":"default","partial_rotary_factor":0.5}`, "partial_rotary_factor"},
		{`"rope_scaling":{"type":"linear","factor":0.5}`, "factor"},
		{`"rope_scaling":{"factor":2}`, "no rope_type"},
		{`"rope_scaling":[]`, "rope scaling is a list"},
		{`"rope_scaling":{"type":"linear","factor":"2"}`, "factor is a string"},
	} {
		if _, err := frequencies(c.more); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, expected an error about %s", c.more, err, c.want)
		}
	}
}

// TestLongRope: which factors serve which texts, and what multiplies what turns.
func TestLongRope(t *testing.T) {
	const short, long = `"short_factor":[1,1.5,2,3],"long_factor":[2,3,4,5]`, `"short_factor":[2,3,4,5],"long_factor":[2,3,4,5]`
	for _, c := range []struct {
		keys  string
		after int
		gain  float64
	}{
		{`"model_type":"phi3","original_max_position_embeddings":64,"rope_scaling":{"type":"longrope",` + short + `}`, 64, math.Sqrt(1 + math.Log(4)/math.Log(64))},
		{`"model_type":"phi3","original_max_position_embeddings":64,"rope_scaling":{"type":"su",` + short + `}`, 64, math.Sqrt(1 + math.Log(4)/math.Log(64))},
		{`"model_type":"phi3","rope_parameters":{"rope_type":"longrope","rope_theta":500,"partial_rotary_factor":1.0,"original_max_position_embeddings":64,` + short + `}`, 64, math.Sqrt(1 + math.Log(4)/math.Log(64))},
		{`"model_type":"llama","rope_scaling":{"type":"longrope","attention_factor":1.25,"original_max_position_embeddings":64,` + short + `}`, 64, 1.25},
		{`"model_type":"llama","rope_scaling":{"type":"longrope","factor":16,` + short + `}`, 0, math.Sqrt(1 + math.Log(16)/math.Log(256))},
		{`"model_type":"llama","rope_scaling":{"type":"longrope","original_max_position_embeddings":64,` + long + `}`, 0, math.Sqrt(1 + math.Log(4)/math.Log(64))},
		{`"model_type":"phi3","original_max_position_embeddings":256,"rope_scaling":{"type":"longrope",` + short + `}`, 0, 0},
	} {
		m, err := Parse([]byte(`{"vocab_size":8,"hidden_size":16,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"max_position_embeddings":256,` + c.keys + `}`))
		if err != nil {
			t.Errorf("%s: %v", c.keys, err)
			continue
		}
		r := m.Arch().Rope[0]
		if r.LongAfter != c.after || LongAfter(m) != c.after || math.Abs(r.Gain-c.gain) > 1e-12 {
			t.Errorf("%s: long after %d, gain %g, expected %d and %g", c.keys, r.LongAfter, r.Gain, c.after, c.gain)
		}
		for j, of := range []struct{ short, long float64 }{{r.Scaling.Short[0], 2}, {r.Scaling.Short[1], 3}} {
			w := math.Pow(r.Theta, -float64(j)/4)
			if a, b := r.frequencies([]int{j}, false)[0], r.frequencies([]int{j}, true)[0]; math.Abs(a-w/of.short) > 1e-15 || math.Abs(b-w/of.long) > 1e-15 {
				t.Errorf("%s: pair %d turns by %g, and by %g in long texts", c.keys, j, a, b)
			}
		}
	}
	for more, want := range map[string]string{
		`"short_factor":[1,2,3],"long_factor":[1,2,3,4]`:                                         "3 short and 4 long factors, expected 4 of each",
		`"short_factor":[1,2,3,0],"long_factor":[1,2,3,4]`:                                       "factor 3 is 0",
		`"short_factor":[1,2,3,4],"long_factor":[1,2,3,-4]`:                                      "factor 7 is -4",
		`"short_factor":[1,2,3,4],"long_factor":[1,2,3,4],"attention_factor":0`:                  "attention_factor 0",
		`"short_factor":[1,2,3,4],"long_factor":[1,2,3,4],"original_max_position_embeddings":-8`: "original_max_position_embeddings -8",
		`"short_factor":[1,2,3,4],"long_factor":[1,2,3,4],"short_mscale":1.2`:                    "short_mscale",
	} {
		if _, err := Parse([]byte(`{"model_type":"phi3","vocab_size":8,"hidden_size":16,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":2,"rope_scaling":{"type":"longrope",` + more + `}}`)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", more, err, want)
		}
	}
}

package coupled_test

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/param"
)

// A feed-forward network of width 2 with four hidden channels loses a quarter of its parameters.
func ExampleMakePlan() {
	ffn, embed := param.Dim{Name: "layer.0.ffn", Size: 4, Kind: param.FFN}, param.Dim{Name: "embed", Size: 2}
	set, err := param.New([]param.Spec{
		{Name: "layer.0.in", Role: param.Up, Dims: []param.Dim{ffn, embed}},
		{Name: "layer.0.out", Role: param.Down, Dims: []param.Dim{ffn, embed}},
	})
	if err != nil {
		panic(err)
	}
	// What training steps showed: the gate gradients of two sequences.
	evidence := coupled.NewEvidence(set, coupled.Options{})
	if err := evidence.Add("layer.0.ffn", []float32{3, 1, -4, 2, 3, -1, 4, -2}, 1); err != nil {
		panic(err)
	}
	config := coupled.DefaultConfig()
	config.Target = "0.75x"
	goal, err := config.Goal(set, nil)
	if err != nil {
		panic(err)
	}
	plan, err := coupled.MakePlan(coupled.Request{
		Set: set, Family: "example", Config: config, Budget: goal.At(1), Evidence: evidence,
	})
	if err != nil {
		panic(err)
	}
	for _, r := range plan.Rows() {
		fmt.Printf("layer %d %s: %d of %d units, %.3f of the score mass removed, %d to %d parameters\n",
			r.Layer, r.Kind, r.Keep, r.Units, r.Removed, r.Before, r.After)
	}
	if err := set.Shrink(plan.Cut(), evidence.Slabs()...); err != nil {
		panic(err)
	}
	fmt.Println(plan.Cut(), set.Count())
	// Output:
	// layer 0 ffn: 3 of 4 units, 0.033 of the score mass removed, 16 to 12 parameters
	// map[layer.0.ffn:[[0 2 3]]] 12
}

func ExampleSchedule_At() {
	s := coupled.Schedule{Start: 0.1, End: 0.3, Events: 3, Ramp: "cubic"}
	for step := range 100 {
		if share, due := s.At(step, 100); due {
			fmt.Printf("step %d: %.3f of the removal done\n", step, share)
		}
	}
	// Output:
	// step 10: 0.704 of the removal done
	// step 20: 0.963 of the removal done
	// step 30: 1.000 of the removal done
}

package graph_test

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// A classifier of one matrix: the graph is built, lowered with gradients, and
// run for two rows.
func Example() {
	set, _ := param.New([]param.Spec{{Name: "w", Dims: []param.Dim{{Size: 3}, {Size: 2}}}}) // 3 classes of 2 features
	grads := set.NewSlab()
	pool := kernel.NewPool(1)
	defer pool.Close()

	b := graph.NewBuilder(set, graph.BuildOptions{Train: true})
	b.HeadLoss(graph.LossOperands{X: b.Floats("x", 2, 2), W: b.Param("w"), Targets: b.IDs("targets", 2), Scale: b.Scalar("scale")}, graph.Head{})
	m, err := b.Lower(graph.LowerOptions{Pool: pool, Grads: grads})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	m.SetFloats("x", 1, 0, 0, 1)
	m.SetInts("targets", []int32{2, 0})
	m.SetFloats("scale", 0.5)
	m.RunAll()
	fmt.Printf("loss %.4f\n", m.Output("loss")[0]) // log 3
	fmt.Printf("gradient %.3f\n", set.Param("w").In(grads))
	// Output:
	// loss 1.0986
	// gradient [0.167 -0.333 0.167 0.167 -0.333 0.167]
}

// A graph of Gorgonia's own operations runs on the same machine.
func ExampleWrap() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewScalar(g, tensor.Float32, gorgonia.WithName("x"), gorgonia.WithValue(float32(3)))
	y := gorgonia.Must(gorgonia.Square(x))
	grads, _ := gorgonia.Grad(y, x)

	pool := kernel.NewPool(1)
	defer pool.Close()
	b := graph.Wrap(g)
	b.Output("y", y)
	b.Output("dy/dx", grads[0])
	m, err := b.Lower(graph.LowerOptions{Pool: pool})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	m.RunAll()
	fmt.Println(m.Output("y"), m.Output("dy/dx"))
	// Output: [9] [6]
}

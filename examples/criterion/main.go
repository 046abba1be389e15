// Criterion prunes with an importance criterion of its own, from another module: its
// evidence and its score are two short files, and nothing of ecospa changes.
//
//	go -C examples/criterion run .
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "criterion:", err)
		os.Exit(1)
	}
}

// run prunes a small model with random weights to half of its prunable parameters.
func run() error {
	const vocabulary, tokens, sequences = 50, 32, 16
	m, err := model.New(model.Sizes{Family: "llama", Layers: 2, Width: 32, Heads: 4, FFN: 64, Vocab: vocabulary, Context: tokens})
	if err != nil {
		return err
	}
	set, err := param.New(m.Specs())
	if err != nil {
		return err
	}
	set.Init(1)
	ids := make([]int32, sequences*tokens+1)
	for i := range ids {
		ids[i] = int32((i*i + 3*i) % vocabulary)
	}
	subject := prune.NewSubject(m, set, 2, nil)
	defer subject.Close()

	config := coupled.DefaultConfig()
	config.Criterion, config.Target, config.Of = "mean-size", "0.5x", "prunable"
	text := prune.Sequences{Context: tokens, Batch: data.Batch{N: sequences, IDs: ids[:len(ids)-1], Targets: ids[1:]}}
	job := prune.Job{
		Calibration: prune.Calibration{Model: m, Set: set, Pool: subject.Pool, Data: text},
		Config:      config,
	}
	before := set.Count()
	result, err := job.Run(context.Background())
	if err != nil {
		return err
	}
	defer result.Close()
	for _, row := range result.Plans[0].Totals() {
		fmt.Printf("%-4s %3d of %3d units kept\n", row.Kind, row.Keep, row.Units)
	}
	fmt.Printf("%s: %d parameters of %d are left\n", config.Criterion, set.Count(), before)
	return nil
}

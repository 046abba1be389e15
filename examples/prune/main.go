// Prune keeps half of a model's parameters by what a text tells about them:
//
//	go run ./examples/prune MODEL TEXT OUT
package main

import (
	"context"
	"log"
	"os"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/workload"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("expected MODEL TEXT OUT: a model's directory, a text file, a directory to write")
	}
	b := must(bundle.Open(os.Args[1], bundle.Options{}))
	text := must(workload.Open(b, workload.Source{Path: os.Args[2]}))
	data := must(text.Calibration(64, min(256, b.Model.Context()), 1)) // sequences, tokens of each, seed
	subject := prune.NewSubject(b.Model, b.Set, 2, nil)                // on two threads, in one process
	job := prune.Job{Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove()}
	job.Calibration = prune.Calibration{Model: b.Model, Set: b.Set, Pool: subject.Pool, Data: data}
	job.Config.Target = "0.5x"
	must(job.Run(context.Background()))
	must(0, b.Save(os.Args[3], bundle.SaveOptions{}))
}

func must[T any](x T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return x
}

package infer

import (
	"context"
	"fmt"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// BenchmarkScheduler has some clients with llama-60m (random weights) write 64 tokens each,
// after prompts of 40 tokens: tokens a second of all of them. Weights are stored as float32
// and as bfloat16.
func BenchmarkScheduler(b *testing.B) {
	m, err := model.New(model.Sizes{Name: "llama-60m", Context: 512})
	if err != nil {
		b.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		b.Fatal(err)
	}
	set.Init(1)
	defer set.Close()
	pool := kernel.NewPool(0)
	defer pool.Close()
	for _, bf16 := range []bool{false, true} {
		if bf16 {
			if err := set.StoreAll(param.BF16); err != nil {
				b.Fatal(err)
			}
		}
		s := schedule(b, Source{Model: m.(model.Decoder), Set: set, Pool: pool}, SchedulerOptions{})
		for _, clients := range []int{1, 4, 16, 64} {
			b.Run(fmt.Sprintf("bf16-%t/clients-%d", bf16, clients), func(b *testing.B) {
				made := 0
				for n := 0; b.Loop(); n++ {
					var streams []*Stream
					for i := range clients {
						prompt := make([]int32, 40)
						for j := range prompt {
							prompt[j] = int32((n*7919 + i*104729 + j*j*31) % 32000)
						}
						st, err := s.Submit(context.Background(), Request{Prompt: prompt, MaxTokens: 64, Sampler: SamplerConfig{TopP: 1}})
						if err != nil {
							b.Fatal(err)
						}
						streams = append(streams, st)
					}
					for _, st := range streams {
						ids, _, _, err := collect(st)
						if err != nil {
							b.Fatal(err)
						}
						made += len(ids)
					}
				}
				b.ReportMetric(float64(made)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
		s.Close()
	}
}

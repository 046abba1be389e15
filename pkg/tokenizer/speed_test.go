package tokenizer

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// BenchmarkEncodeGPT2 encodes English with GPT-2's own vocabulary, on one core and
// then on two within each round, and reports both rates and their ratio. Every
// encoding begins with empty caches; the longer text is the shorter one eight times.
//
// ECOSPA_SHARED names the folder with data/vocab and data/text.
func BenchmarkEncodeGPT2(b *testing.B) {
	shared := os.Getenv("ECOSPA_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	dir := b.TempDir()
	for from, to := range map[string]string{"gpt2-vocab.json": "vocab.json", "gpt2-merges.txt": "merges.txt"} {
		file, err := os.ReadFile(filepath.Join(shared, "data/vocab", from))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), file, 0o644)
		}
		if err != nil {
			b.Skip("SKIPPED: ECOSPA_SHARED: ", err)
		}
	}
	files, err := filepath.Glob(filepath.Join(shared, "data/text/*.txt"))
	if err != nil || len(files) == 0 {
		b.Skip("SKIPPED: ECOSPA_SHARED: no data/text/*.txt")
	}
	var text []byte
	for _, f := range files {
		more, err := os.ReadFile(f)
		if err != nil {
			b.Fatal(err)
		}
		text = append(text, more...)
	}
	t, err := Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	bpe := t.(*Pipeline)
	for _, times := range []int{1, 8} {
		long := bytes.Repeat(text, times)
		b.Run(fmt.Sprintf("%.1fMB", float64(len(long))/1e6), func(b *testing.B) {
			var took [2]time.Duration
			ids := make([]int32, 0, len(long)/2)
			for b.Loop() {
				for i := range took {
					bpe.encoders = sync.Pool{}
					start := time.Now()
					ids = bpe.EncodeParallel(ids[:0], long, i+1)
					took[i] += time.Since(start)
				}
			}
			rate := func(i int) float64 { return float64(len(long)) * float64(b.N) / took[i].Seconds() / 1e6 }
			b.ReportMetric(rate(0), "MB/s-1")
			b.ReportMetric(rate(1), "MB/s-2")
			b.ReportMetric(rate(1)/rate(0), "ratio")
		})
	}
}

// Command load measures a server of OpenAI's protocol under load, or mistreats it.
//
//	go run ./scripts/clients/load [flags] http://127.0.0.1:8080
//
// For every number of clients in -clients it lets each send one request after the other for
// -seconds, streamed and greedy, with prompts that differ from their first word on, and
// prints a row of a Markdown table: tokens a second of all, and the time to the first
// token. With -mix the clients do what clients do in a long life instead (mix.go), and the
// program ends with 1 when an answer was none.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

type options struct {
	base, key     string
	words, tokens int
	mix           bool
}

func main() {
	var o options
	clients := flag.String("clients", "1,4,16,64", "numbers of clients")
	seconds := flag.Float64("seconds", 20, "seconds for each")
	header := flag.Bool("header", true, "print the table's head")
	name := flag.String("name", "ecospa", "what the table calls the server")
	flag.StringVar(&o.key, "key", os.Getenv("ECOSPA_API_KEY"), "API key")
	flag.IntVar(&o.words, "words", 24, "words of a prompt")
	flag.IntVar(&o.tokens, "tokens", 64, "new tokens of a request")
	flag.BoolVar(&o.mix, "mix", false, "mixed clients: streams, scores, chats, nonsense, clients that leave or do not read")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "load: the server's URL is missing")
		os.Exit(2)
	}
	o.base = strings.TrimSuffix(flag.Arg(0), "/")
	if *header && !o.mix {
		fmt.Println("| server | clients | requests | tokens/s | first token, median | first token, p99 | clients' processor time |\n|---|---|---|---|---|---|---|")
	}
	failed := false
	for _, s := range strings.Split(*clients, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "load: -clients has %q, expected numbers of at least 1\n", s)
			os.Exit(2)
		}
		before := processorTime()
		r := o.run(n, time.Duration(*seconds*float64(time.Second)))
		used := processorTime() - before
		failed = failed || len(r.errs) > 0
		for _, e := range r.errs[:min(5, len(r.errs))] {
			fmt.Fprintln(os.Stderr, "load:", e)
		}
		if o.mix {
			fmt.Printf("%d clients: %d requests, %d tokens, %d errors\n", n, r.requests, r.tokens, len(r.errs))
			continue
		}
		slices.Sort(r.first)
		fmt.Printf("| %s | %d | %d | %.0f | %.0f ms | %.0f ms | %.1f %% of a core |\n", *name, n, r.requests, float64(r.tokens)/r.took.Seconds(), ms(r.first, 0.5), ms(r.first, 0.99), 100*used.Seconds()/r.took.Seconds())
	}
	if failed {
		os.Exit(1)
	}
}

// result is what clients saw together.
type result struct {
	requests, tokens int
	first            []time.Duration
	took             time.Duration
	errs             []error
}

// run lets n clients send requests for some time. A request that was sent is waited for.
func (o options) run(n int, long time.Duration) (all result) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	for client := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; time.Since(start) < long; i++ {
				r := o.one(client, i)
				mu.Lock()
				all.requests++
				all.tokens += r.tokens
				all.first = append(all.first, r.first...)
				all.errs = append(all.errs, r.errs...)
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	all.took = time.Since(start)
	return all
}

func (o options) one(client, i int) (r result) {
	if o.mix {
		return o.mixed(uint64(client), uint64(i))
	}
	tokens, first, err := o.stream(context.Background(), map[string]any{
		"prompt": prompt(uint64(client)<<32|uint64(i), o.words), "max_tokens": o.tokens, "temperature": 0, "stream": true,
		"stream_options": map[string]bool{"include_usage": true},
	})
	r.tokens = tokens
	if err != nil {
		r.errs = []error{err}
	} else if first > 0 {
		r.first = []time.Duration{first}
	}
	return r
}

// processorTime is what this program has used; 0 where the system does not say (/proc/self/stat
// of Linux, whose clock has 100 ticks a second).
func processorTime() time.Duration {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// ms is a quantile of sorted times, in milliseconds.
func ms(times []time.Duration, q float64) float64 {
	if len(times) == 0 {
		return 0
	}
	return float64(times[min(len(times)-1, int(q*float64(len(times))))]) / 1e6
}

// Command sizes prints a row of docs/results/sizes.md from what ecospa prune --json printed;
// scripts/sizes.sh runs it.
//
//	go run ./scripts/sizes SHAPE TYPE REPORT.json
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/prune"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("expected SHAPE TYPE REPORT.json")
	}
	text, err := os.ReadFile(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	var r prune.Report
	if err := json.Unmarshal(text, &r); err != nil {
		log.Fatalf("%s: %v", os.Args[3], err)
	}
	var phases []string
	for _, p := range r.Phases {
		phases = append(phases, fmt.Sprintf("%s %.0f s, %s", p.Name, p.Seconds, units.Bytes(p.PeakRSS)))
	}
	fmt.Printf("| %s | %s | %d -> %d | %d x %d | %.0f s | %s | %.2f | %s |\n", os.Args[1], os.Args[2], r.Before.Params, r.Planned, r.Sequences, r.Context,
		r.Seconds, units.Bytes(r.PeakRSS), r.OfPlain, strings.Join(phases, "; "))
}

#!/usr/bin/env bash
# The soak: trains a small model on one thread with pruning, evaluation and
# checkpoints, and fails when the resident set, the goroutines or the open files
# grow between two pruning events. DURATION (default 2h20m) is what its steps would
# take without pruning: as they get faster, the run takes somewhat less than half.
#
#   scripts/soak.sh [DURATION]
set -euo pipefail
cd "$(dirname "$0")/.."
go test ./cmd -count=1 -v -timeout 12h -run 'TestSoak$' -soak "${1:-2h20m}"

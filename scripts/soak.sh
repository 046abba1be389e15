#!/usr/bin/env bash
# The soak: trains a small model on one thread with pruning, evaluation and
# checkpoints for about DURATION (default 1h), and fails when the resident set,
# the goroutines or the open files grow between two pruning events.
#
#   scripts/soak.sh [DURATION]
set -euo pipefail
cd "$(dirname "$0")/.."
go test ./cmd -count=1 -v -timeout 12h -run 'TestSoak$' -soak "${1:-1h}"

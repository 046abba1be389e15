#!/usr/bin/env bash
# The long crash test: kills training runs (f32, bf16, adapters, images) with
# SIGKILL, KILLS times each (default 60), many of them while a checkpoint is
# written, resumes them each time, and compares their ends with those of runs left alone.
#
#   scripts/crash.sh [KILLS]
set -euo pipefail
cd "$(dirname "$0")/.."
go test ./cmd -count=1 -v -timeout 60m -run TestKilledRunEndsTheSame -crash.kills "${1:-60}"

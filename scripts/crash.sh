#!/usr/bin/env bash
# The long crash test: kills a training run in f32 and one in bf16 with SIGKILL,
# KILLS times each (default 100), most of them while a checkpoint is written,
# resumes it each time, and compares its end with that of a run left alone.
#
#   scripts/crash.sh [KILLS]
set -euo pipefail
cd "$(dirname "$0")/.."
go test ./cmd -count=1 -v -timeout 60m -run TestKilledRunEndsTheSame -crash.kills "${1:-100}"

#!/usr/bin/env bash
# Runs every fuzz target of the repository for MINUTES each (default 10), one
# worker at a time, and prints a row of docs/results/robustness.md for each:
# executions, inputs that reached new code, peak memory of the worker, findings.
# What a target finds stays in its package's testdata/fuzz, as a regression case.
#
#   scripts/fuzz.sh [MINUTES [TARGET-PATTERN]]     e.g. scripts/fuzz.sh 2 'checkpoint'
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=${1:-10}
pattern=${2:-.}
seconds=$(awk "BEGIN { print int(60 * $minutes) }")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

echo "| target | seconds | executions | new inputs | peak memory | findings |"
echo "|---|---|---|---|---|---|"
grep -rn --include='*_test.go' -o 'func Fuzz[A-Za-z0-9_]*' . | sed 's/:[0-9]*:func / /; s#^\./##' | sort | while read -r file name; do
  pkg=$(dirname "$file")
  [[ "$pkg $name" =~ $pattern ]] || continue
  go test -c -fuzz "^$name\$" -o "$tmp/fuzz.test" "./$pkg"
  before=$({ find "$pkg/testdata/fuzz/$name" -type f 2>/dev/null || true; } | wc -l)
  # A short minimization: coverage that depends on timing would keep it busy for ever.
  status=0
  (cd "$pkg" && /usr/bin/time -f %M -o "$tmp/kb" "$tmp/fuzz.test" -test.run '^$' -test.fuzz "^$name\$" -test.fuzztime "${seconds}s" \
    -test.fuzzminimizetime 20x -test.parallel 1 -test.fuzzcachedir "$tmp/cache") > "$tmp/log" 2>&1 </dev/null || status=$?
  after=$({ find "$pkg/testdata/fuzz/$name" -type f 2>/dev/null || true; } | wc -l)
  execs=$(grep -o 'execs: [0-9]*' "$tmp/log" | tail -1 | cut -d' ' -f2)
  new=$(grep -o 'new interesting: [0-9]*' "$tmp/log" | tail -1 | cut -d' ' -f3)
  findings=none
  if [ "$status" -ne 0 ] || [ "$after" -gt "$before" ]; then
    findings="$((after - before)), see $pkg/testdata/fuzz/$name"
    cp "$tmp/log" "/tmp/fuzz-$name.log"
  fi
  echo "| $pkg $name | $seconds | ${execs:-0} | ${new:-0} | $(($(tail -1 "$tmp/kb") / 1024)) MiB | $findings |"
done

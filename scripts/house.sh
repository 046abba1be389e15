#!/bin/sh
# Prints the figures of docs/results/house.md for a source tree: lines, files and functions
# (scripts/house), the size of the binary, and how long a build from an empty cache takes.
#
#   scripts/house.sh [DIR]
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
dir=$(cd "${1:-$here}" && pwd)
(cd "$here" && go run ./scripts/house "$dir")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$dir"
begun=$(date +%s)
GOCACHE="$work/cache" GOFLAGS= go build -o "$work/ecospa" .
ended=$(date +%s)
echo "| binary, bytes (go build) | $(wc -c <"$work/ecospa") |"
echo "| build from an empty cache, s | $((ended - begun)) |"
echo "| modules in the binary | $(go version -m "$work/ecospa" | grep -c '^	dep') |"

#!/bin/sh
# Prunes random-weight models of real shapes and prints the rows of docs/results/sizes.md:
# peaks are the kernel's (VmHWM of the process, by phase), plans and operations the program's.
#
#   scripts/sizes.sh [DIR [SHAPE...]]
#
# DIR (default /tmp/ecospa-sizes) takes one model and its result at a time; 8B needs 45 GB
# there with moments on disk, 30 GB without. SHAPE is a name in scripts/sizes/, default all
# from the smallest. TYPES (default "bf16 q8_0") are the types in memory, SEQUENCES (16) and
# CONTEXT (512) the calibration, PRUNE more flags. Each run's JSON and log stay in DIR.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
dir=${1:-/tmp/ecospa-sizes}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- smollm2-135m qwen3-0.6b llama-3.2-1b llama-3.1-8b
mkdir -p "$dir"
cd "$here"
export CGO_ENABLED=0
go build -trimpath -o "$dir/ecospa" .
go build -trimpath -o "$dir/random_model" ./scripts/random_model
go build -trimpath -o "$dir/row" ./scripts/sizes
for shape; do
	rm -rf "$dir/model" "$dir/out"
	"$dir/random_model" "scripts/sizes/$shape.json" "$dir/model"
	for type in ${TYPES:-bf16 q8_0}; do
		name=$shape-$type
		rm -rf "$dir/out"
		if "$dir/ecospa" prune --from "$dir/model" --data "$dir/model/text.txt" --out "$dir/out" --target 0.7x --weights "$type" \
			--sequences "${SEQUENCES:-16}" --context "${CONTEXT:-512}" --eval-tokens 4096 --recover none --json ${PRUNE:-} >"$dir/$name.json" 2>"$dir/$name.log"; then
			"$dir/row" "$shape" "$type" "$dir/$name.json"
		else
			echo "| $shape | $type | failed: $(tail -1 "$dir/$name.log") |"
		fi
	done
done
rm -rf "$dir/model" "$dir/out"

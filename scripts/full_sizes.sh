#!/bin/bash
# Models of the true shapes of published ones, with random weights in bfloat16: inspect,
# eval, prune, export to GGUF as Q8_0, and llama.cpp against eval. Time and the largest
# resident memory of each step are printed, an object of JSON a step.
#
#   scripts/full_sizes.sh WORK TEXT [NAME...]
#
# NAME is of smollm2-135m qwen3-0.6b qwen2.5-0.5b llama-3.2-1b gemma-3-270m; default all. WORK
# takes up to 6 GB a model, which go when it is done (KEEP=1 keeps them). TEXT is plain
# English of at least 20 kB. It needs go (or ECOSPA, the path of a binary), python3 with
# numpy (PYTHON names it), GNU time, and in WORK/npm node-llama-cpp (scripts/interop/
# package.json); without it the last step is left out, and said so.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$1; text=$(realpath "$2"); shift 2; mkdir -p "$work"; cd "$work"
python=${PYTHON:-/usr/bin/python3}
e=${ECOSPA:-$PWD/ecospa}
[ -n "${ECOSPA:-}" ] || (cd "$here/.." && go build -o "$e" .)
[ $# -gt 0 ] || set -- smollm2-135m qwen3-0.6b qwen2.5-0.5b llama-3.2-1b gemma-3-270m
head -c 60000 "$text" > text.txt
head -c 20000 "$text" > short.txt

# step NAME WHAT COMMAND...: runs it, prints seconds and MiB
step() {
  local name=$1 what=$2; shift 2
  /usr/bin/time -f '%e %M' -o time.txt "$@" > "$name.$what.log" 2>&1 || { tail -5 "$name.$what.log"; exit 1; }
  read -r seconds kib < <(tail -1 time.txt)
  # prune measures the peak of each phase anew, so that the kernel's is the last phase's: its own is of all
  local peak
  peak=$(sed -n 's/.*peak resident memory //p' "$name.$what.log" | tail -1)
  printf '{"model":"%s","step":"%s","seconds":%s,"peak":"%s"}\n' "$name" "$what" "$seconds" "${peak:-$((kib / 1024)) MiB}"
}

for name; do
  arch=$("$python" "$here/full_sizes.py" "$name" "$name" | tail -1)
  step "$name" inspect "$e" inspect "$name"
  step "$name" eval "$e" eval --model "$name" --data text.txt --context 1024 --limit 4096 --json
  step "$name" prune "$e" prune --from "$name" --data text.txt --target 0.7x --of prunable --for "gguf-$arch" --kinds ffn --sequences 4 --context 128 --eval-tokens 512 --out "$name-pruned"
  step "$name" export "$e" export --model "$name-pruned" --format gguf --dtype q8_0 --out "$name.gguf" --json
  if [ -d npm/node_modules/node-llama-cpp ]; then
    cp "$here/full_sizes.mjs" npm/
    step "$name" llama.cpp node npm/full_sizes.mjs "$e" "$name.gguf" short.txt 512
    tail -1 "$name.llama.cpp.log"
  else
    echo "$name: llama.cpp was not asked: there is no $work/npm/node_modules/node-llama-cpp" >&2
  fi
  [ -n "${KEEP:-}" ] || rm -rf "$name" "$name-pruned" "$name.gguf"
done

#!/bin/bash
# What loading a directory of Hugging Face's takes: the peak resident set of
# `ecospa eval` on one window of 16 tokens, against the file and the float32
# weights. The model has 110 million parameters, random, written by make.py.
#
#   scripts/interop/memory.sh WORK
#
# WORK is a scratch directory of about 1 GB; PYTHON and ECOSPA are as for run.sh.
# Each line is one JSON object; it fails where the peak is more than a fifth above
# the weights.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"; cd "$1"
python=${PYTHON:-/usr/bin/python3}
e=${ECOSPA:-$PWD/ecospa}
[ -n "${ECOSPA:-}" ] || (cd "$here/../.." && go build -o "$e" .)
echo "The quick brown fox jumps over the lazy dog." > fox.txt
for what in "F32 1" "F32 3" "F16 1" "BF16 1" "BF16 3"; do
  set -- $what
  rm -rf large
  "$python" "$here/make.py" large large $1 $2
  $e eval --model large --data fox.txt --context 16 --limit 16 --json > large.json
  "$python" - "$1" "$2" <<'P'
import glob, json, os, sys
r = json.load(open("large.json"))
file, weights = sum(map(os.path.getsize, glob.glob("large/*.safetensors"))), 4 * r["params"]
print(json.dumps({"type": sys.argv[1], "files": int(sys.argv[2]), "file_MB": file / 1e6, "weights_MB": weights / 1e6, "peak_MB": r["peak_rss"] / 1e6, "peak_over_weights": r["peak_rss"] / weights}))
sys.exit(r["peak_rss"] > 1.2 * weights)
P
done
rm -rf large

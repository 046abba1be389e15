#!/bin/sh
# Prepares a corpus of SIZE megabytes (default 8000) under a memory limit of LIMIT (default
# 1GiB), trains a few steps on it, and prints the peak resident memory of both.
#   scripts/corpus.sh [SIZE [LIMIT]]
set -eu
size=${1:-8000} limit=${2:-1GiB}
dir=${TMPDIR:-/tmp}/ecospa-corpus
mkdir -p "$dir/text"
go build -trimpath -o "$dir/ecospa" .
n=0
while [ $((n * 100)) -lt "$size" ]; do
	[ -s "$dir/text/$n.jsonl" ] || awk -v n="$n" 'BEGIN {
		srand(n + 1)
		split("the a one fox bear river house small old runs sees finds under over and then where light stone water", w, " ")
		for (bytes = 0; bytes < 1e8; bytes += length(s) + 13) {
			s = ""
			for (k = 20 + int(400 * rand()); k > 0; k--) s = s w[1 + int(20 * rand())] (k > 1 ? " " : "")
			printf "{\"text\": \"%s\"}\n", s
		}
	}' > "$dir/text/$n.jsonl"
	n=$((n + 1))
done
"$dir/ecospa" pretrain -c quickstart --set data.bytes=300KB --set train.steps=1 --set prune.target= --set train.sample=0 --out "$dir/base" --force > "$dir/base.log" 2>&1
for what in "data prepare --force --data $dir/text --model $dir/base --out $dir/shards" \
	"finetune --force --from $dir/base --data $dir/shards --out $dir/run --set train.steps=20 --set data.validation=0.0001 --set train.sample=0"; do
	# VmHWM of the process, read until it ends.
	GOMEMLIMIT=$limit "$dir/ecospa" $what > "$dir/out.log" 2>&1 &
	pid=$! peak=0 anon=0
	while kill -0 $pid 2> /dev/null; do
		now=$(awk '/VmHWM/ {print $2}' /proc/$pid/status 2> /dev/null || true)
		[ "${now:-0}" -gt "$peak" ] && peak=$now
		now=$(awk '/RssAnon/ {print $2}' /proc/$pid/status 2> /dev/null || echo 0)
		[ "${now:-0}" -gt "$anon" ] && anon=$now
		sleep 0.2
	done
	wait $pid || { cat "$dir/out.log"; exit 1; }
	echo "ecospa ${what%% --*}: peak resident $((peak / 1024)) MiB, of its own $((anon / 1024)) MiB"
done
cat "$dir/shards/corpus.json" | head -12

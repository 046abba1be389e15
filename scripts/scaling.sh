#!/bin/sh
# What docs/scaling.md measures, in about ten minutes on two cores: loss curves on 1,
# 2 and 4 ranks beside one process, and two hosts over links of 1 and 10 Gbit/s.
# Needs root, Open MPI, ip and tc. Prints Markdown.
#
#   scripts/scaling.sh TEXT
set -eu
text=$1
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
(cd "$here/.." && go build -o "$dir/ecospa" .)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
cat >"$dir/run.yaml" <<YAML
model: {family: llama, layers: 4, width: 192, heads: 6, ffn: 512}
data: {path: $text, cache: $dir/cache}
tokenizer: {train: bpe, vocab: 1024}
train: {steps: 200, batch: 8, context: 128, threads: 1, sample: 0, eval_every: 100}
prune: {target: 0.5x, of: prunable, events: 2, start: 0.3, end: 0.6}
YAML
run() { # NAME RANKS [SETTING...]
	name=$1 ranks=$2
	shift 2
	set -- pretrain -c "$dir/run.yaml" --out "$dir/$name" "$@"
	if [ "$ranks" = 0 ]; then
		"$dir/ecospa" "$@" >/dev/null 2>"$dir/$name.log"
	else
		mpirun -np "$ranks" --oversubscribe "$dir/ecospa" "$@" >/dev/null 2>"$dir/$name.log"
	fi
}
column() { sed -n 's/.*"'"$2"'":\([0-9.e+-]*\).*/\1/p' "$dir/$1/metrics.jsonl"; }
worst() { # the largest relative difference of two curves
	column one loss >"$dir/a"
	column "$1" loss >"$dir/b"
	paste "$dir/a" "$dir/b" | awk '{d = ($1 > $2 ? $1 - $2 : $2 - $1) / $1; if (d > m) m = d} END {printf "%.1e", m}'
}
plans() { for p in "$dir/$1"/plans/*.json; do tr -d ' \n' <"$p" | grep -o '"kept":\[\[[0-9,]*\(\],\[[0-9,]*\)*\]\]'; done | cksum; }
run one 0
echo "| run | largest difference of a loss over 200 steps, relative | plans |"
echo "|---|---|---|"
for n in 1 2 4; do
	run "np$n" $n
	[ "$(plans one)" = "$(plans "np$n")" ] && same="the same" || same="DIFFER"
	echo "| mpirun -np $n | $(worst "np$n") | $same |"
done
run bf16 2 --set train.wire=bf16
echo "| mpirun -np 2, bfloat16 on the wire | $(worst bf16) | |"
run shard 2 --set train.shard_optimizer=true
[ "$(plans one)" = "$(plans shard)" ] && same="the same" || same="DIFFER"
echo "| mpirun -np 2, optimizer sharded | $(worst shard) | $same |"
echo
moments() { sed -n 's/.*"moments":\([0-9]*\).*/\1/p' "$dir/$1/metrics.jsonl" | head -1; }
echo "Moments a rank: $(moments np2) bytes, sharded over 2 ranks $(moments shard)."
echo
echo "| link | parameters | wire | bytes a step, rank 0 | ms a step |"
echo "|---|---|---|---|---|"
hosts() { # RATE WIRE TARGET
	out=$("$here/two_hosts.sh" "$1" -- "$dir/ecospa" pretrain -c "$dir/run.yaml" --out "$dir/h-$1-$2-$3" --set train.steps=20 --set train.wire="$2" --set prune.target="$3" \
		--set prune.events=1 --set prune.start=0.05 --set prune.end=0.05 --set train.eval_every=20 2>/dev/null | tail -1)
	bytes=${out##* }
	params=$(column "h-$1-$2-$3" params | tail -1)
	ms=$(column "h-$1-$2-$3" ms | tail -15 | sort -g | sed -n 8p)
	echo "| $1 | $params | $2 | $((bytes / 20)) | $ms |"
}
for rate in 1gbit 10gbit; do
	hosts $rate f32 ""
	hosts $rate bf16 ""
	hosts $rate f32 0.5x
done
ms=$(column one ms | head -50 | sort -g | sed -n 25p)
echo
echo "One process with one thread: $ms ms a step, dense."

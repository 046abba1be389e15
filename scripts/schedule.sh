#!/bin/bash
# schedule.sh TEXT OUT [SEED...]: when in a run of pre-training to prune. For each seed (1 2 3)
# trains the model of configs/schedule-gpt2.yaml whole (big), a small one from scratch
# (small), and the big one pruned to 2.2x fewer prunable parameters: early and
# gradually, and with the full recipe in the middle and late. Runs that are there are
# gone on with. Then prints, from each run's metrics.jsonl, the final validation loss,
# the seconds of all steps (by medians), and the mean of the resident sets after each step in MiB.
set -e
text=$1 out=$2
shift 2
ecospa=${ECOSPA:-ecospa}
config=$(dirname "$0")/../configs/schedule-gpt2.yaml
small="model.width=176 model.ffn=496"
cut="prune.target=0.4545x prune.of=prunable"
early="$cut prune.allocation=global prune.floor=0.2 prune.start=0.1 prune.end=0.5 prune.events=4"
full="$cut prune.calibration=256 prune.allocation=auto prune.improve.basis=data-svd prune.improve.compensate=lsq prune.events=1 prune.ramp=one-shot"
middle="$full prune.start=0.4 prune.end=0.4"
late="$full prune.start=0.7 prune.end=0.7"
for seed in "${@:-1 2 3}"; do
	for seed in $seed; do
		for kind in big small early middle late; do
			run=$out/$kind-$seed
			if [ -e "$run/state/newest" ]; then
				if grep -q '"step": *1000\b' "$run/state/newest/trainer.json"; then continue; fi
				"$ecospa" pretrain --resume --out "$run" >>"$run.log" 2>&1
				continue
			fi
			sets=()
			for s in ${!kind}; do sets+=(--set "$s"); done
			mkdir -p "$out"
			"$ecospa" pretrain -c "$config" --data "$text" --out "$run" --set train.seed="$seed" "${sets[@]}" >"$run.log" 2>&1
		done
	done
done
# A step's time is the median over the steps of the same size, so that what else the
# machine did does not count.
for run in "$out"/*-[0-9]*/; do
	sed -E 's/.*"ms":([0-9.]+).*"params":([0-9]+).*/\2 \1/; t; d' "$run/metrics.jsonl" | sort -k1,1n -k2,2n |
		awk '{ v[$1, ++n[$1]] = $2 } END { for (p in n) s += n[p] * v[p, int((n[p] + 1) / 2)]; printf "%.0f", s / 1e3 }' >"$out/seconds"
	sed -E 's/[{}"]//g; s/,/ /g' "$run/metrics.jsonl" | awk -v run="$(basename "$run")" -v seconds="$(cat "$out/seconds")" '
		{ for (i = 1; i <= NF; i++) { split($i, kv, ":"); v[kv[1]] = kv[2] } rss += v["rss"] }
		END { printf "%s\tloss %.4f\tparameters %d\tseconds %.0f\tresident MiB %.0f\n", run, v["val_loss"], v["params"], seconds, rss / NR / 1048576 }'
done

#!/bin/sh
# Measures what a training step loses when other programs want the same cores:
#
#   scripts/shared_cores.sh [-n ROUNDS] [-m MODEL]
#
# Rounds (default 5) of: a step by itself, beside one and beside two programs that never
# rest. A row is the median of a round's steps over that of the step alone, over all rounds,
# beside the share that the scheduler owes two threads on two cores: 2/3 and 1/2. It needs
# a machine that is quiet but for that, and ends the busy programs that it starts.
set -eu
rounds=5 model=llama-60m
while getopts n:m: flag; do
	case $flag in
	n) rounds=$OPTARG ;;
	m) model=$OPTARG ;;
	*) exit 2 ;;
	esac
done
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
busy=''
trap 'for p in $busy; do kill "$p" 2>/dev/null || true; done; rm -rf "$work"' EXIT
(cd "$root" && go build -o "$work/ecospa" .)
cores=$(nproc)
# ms N: the median of a step beside N busy programs.
ms() {
	busy=''
	for _ in $(seq "$1"); do
		sh -c 'while :; do :; done' &
		busy="$busy $!"
	done
	"$work/ecospa" bench step --model "$model" --batch 4 --seq 256 --steps 7 --threads "$cores" --json | sed -n 's/.*"ms": *\([0-9.]*\).*/\1/p'
	for p in $busy; do kill "$p"; wait "$p" 2>/dev/null || true; done
	busy=''
}
median() { sort -g | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
for _ in $(seq "$rounds"); do
	alone=$(ms 0)
	for n in 1 2; do
		awk "BEGIN {print $alone / $(ms $n)}" >>"$work/$n"
	done
done
echo "| beside | speed, of that alone | fair share | lost beyond it |"
echo "|---|---|---|---|"
for n in 1 2; do
	median <"$work/$n" | awk -v n=$n -v c="$cores" '{fair = c / (c + n); printf "| %d busy | %.3f | %.3f | %.3f |\n", n, $1, fair, 1 - $1 / fair}'
done

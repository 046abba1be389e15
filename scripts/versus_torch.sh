#!/bin/sh
# Times ecospa against PyTorch on this machine, in turn, and prints the ratios as a Markdown table.
#
#   scripts/versus_torch.sh [-n PAIRS] [-s STEPS] [-t THREADS] [-c CASES] [YARDSTICK]
#
# YARDSTICK is a program that times a step of PyTorch and prints a line of JSON with the keys of
# `ecospa bench step --json` (default ../shared/reference/torch_step.py, run by $PYTHON, default
# /usr/bin/python3). CASES is a list of mode:model:batch:seq:dtype, separated by spaces; seq is 0
# for models of images.
#
# PyTorch is only as fast as its BLAS. Debian's python3-torch takes whichever libblas is installed,
# and the reference one is some twenty times slower than OpenBLAS: the script refuses to compare
# with that. TORCH_LIBRARY_PATH is searched first for PyTorch's libraries, e.g. where an unpacked
# libopenblas0-pthread has its libblas.so.3. Settings of OpenBLAS in the environment that name a
# kernel or a cache size (OPENBLAS_CORETYPE, OPENBLAS_L2_SIZE) are removed: it finds the CPU itself.
#
# One round of a case runs PyTorch as installed, PyTorch with glibc's allocator told to keep what
# it has, and ecospa, each in a process of its own. A ratio is taken within a round, because what
# else the machine does changes from one round to the next; the table has the median of the rounds
# and, in brackets, the least and the greatest. Above 1 ecospa is faster. RSS is ecospa's peak
# resident memory over PyTorch's, as installed and tuned.
set -eu
pairs=3 steps=5 threads=2
cases="train:llama-60m:4:256:f32 train:llama-60m:4:256:bf16 train:gpt2-small:1:512:f32 infer:llama-60m:4:256:f32 infer:llama-60m:4:256:bf16"
while getopts n:s:t:c: flag; do
	case $flag in
	n) pairs=$OPTARG ;;
	s) steps=$OPTARG ;;
	t) threads=$OPTARG ;;
	c) cases=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
root=$(cd "$(dirname "$0")/.." && pwd)
yardstick=${1:-$root/../shared/reference/torch_step.py}
[ -r "$yardstick" ] || { echo "versus_torch.sh: no yardstick at $yardstick; give its path" >&2; exit 2; }
python=${PYTHON:-/usr/bin/python3}
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
path=${TORCH_LIBRARY_PATH:-}
torch=$(find /usr/lib -name libtorch_cpu.so 2>/dev/null | head -n 1)
blas=$(LD_LIBRARY_PATH=$path ldd "${torch:-/nonexistent}" 2>/dev/null | sed -n 's/.*libblas[^ ]* => \([^ ]*\).*/\1/p')
case $(readlink -f "${blas:-/}") in
*/blas/libblas.so*)
	echo "versus_torch.sh: PyTorch would use the reference BLAS, $blas: install libopenblas0-pthread or set TORCH_LIBRARY_PATH" >&2
	exit 1
	;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$root" && go build -o "$work/ecospa" .)

# key NAME: the number behind NAME in a line of JSON.
key() { sed -n 's/.*"'"$1"'": *\([0-9.eE+-]*\).*/\1/p'; }
# spread: median [least-greatest] of the numbers of standard input, one a line.
spread() {
	sort -g | awk '{x[NR] = $1} END {printf "%.2f [%.2f-%.2f]", (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]) / 2, x[1], x[NR]}'
}
median() { sort -g | awk '{x[NR] = $1} END {printf "%.0f", (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]) / 2}'; }

tuned() {
	MALLOC_TOP_PAD_=268435456 MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296 "$@"
}

echo "| case | torch, tokens/s | torch tuned | ecospa | against torch | against tuned | RSS over torch | RSS over tuned |"
echo "|---|---|---|---|---|---|---|---|"
for c in $cases; do
	IFS=: read -r mode model batch seq dtype <<-END
		$c
	END
	length="--seq $seq"
	[ "$seq" != 0 ] || length=''
	torch="$python $yardstick --mode $mode --model $model --batch $batch $length --steps $steps --threads $threads"
	[ "$dtype" = f32 ] || torch="$torch --bf16"
	sub=step
	[ "$mode" = train ] || sub=$mode
	: >"$work/rounds"
	for _ in $(seq "$pairs"); do
		a=$(LD_LIBRARY_PATH=$path $torch)
		b=$(LD_LIBRARY_PATH=$path tuned $torch)
		e=$("$work/ecospa" bench "$sub" --model "$model" --batch "$batch" $length --steps "$steps" --threads "$threads" --dtype "$dtype" --json)
		for line in "$a" "$b" "$e"; do
			printf '%s %s ' "$(echo "$line" | key per_s)" "$(echo "$line" | key peak_rss_mib)"
		done >>"$work/rounds"
		echo >>"$work/rounds"
	done
	col() { awk "{print $1}" "$work/rounds"; }
	echo "| $mode $model B=$batch T=$seq $dtype | $(col '$1' | median) | $(col '$3' | median) | $(col '$5' | median) | $(col '$5/$1' | spread) | $(col '$5/$3' | spread) | $(col '$6/$2' | spread) | $(col '$6/$4' | spread) |"
done

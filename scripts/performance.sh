#!/bin/sh
# Measures everything of docs/results/performance.md on this machine and writes it, with its plot.
# Figures of processors of one class (the kernels' path: avx512, avx2, neon, portable) replace those
# of that class only. On a quiet machine of two cores it takes about half an hour.
#
#   scripts/performance.sh [-n ROUNDS] [-l LLAMA_DIR] [-p SECTIONS] [YARDSTICK]
#
# ROUNDS (default 2) are rounds of the comparisons with other programs. YARDSTICK as in
# versus_torch.sh; LLAMA_DIR as in versus_llamacpp.sh: without it that part is left out, as is, with
# TORCH=no in the environment, the one with PyTorch. SECTIONS is a list of parts to measure, separated
# by spaces (default all: gemm products steps infer vocabulary large memory evidence attention staircase
# kernels torch llamacpp); what is left out keeps the text of an earlier run. DOCS (default docs/results) is where
# results go.
set -eu
all='gemm products steps infer vocabulary large memory evidence attention staircase kernels torch llamacpp'
rounds=2 llama='' parts=$all
while getopts n:l:p: flag; do
	case $flag in
	n) rounds=$OPTARG ;;
	l) llama=$OPTARG ;;
	p) parts=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
root=$(cd "$(dirname "$0")/.." && pwd)
docs=${DOCS:-$root/docs/results}/performance
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$root" && CGO_ENABLED=0 go build -o "$work/ecospa" . && CGO_ENABLED=0 go build -o "$work/random_model" ./scripts/random_model)
bench() { "$work/ecospa" bench "$@"; }
class=$(bench infer --model llama-mini --steps 1 --json | tr -d ' \n' | sed 's/.*"cpu":"\([a-z0-9]*\)".*/\1/')
mkdir -p "$docs/$class"

# key NAME: the numbers behind NAME in JSON, one a line.
key() { tr -d ' \n' | sed 's/[,{]"/\n"/g' | sed -n 's/^"'"$1"'":\([0-9.eE+-]*\).*/\1/p'; }
# goal WHAT LEAST FOUND [most]: a row of the table of goals.
goal() {
	case ${3:-none} in
	*[!0-9.e+-]*) verdict="not measured" ;;
	*) verdict=$(awk "BEGIN {if (\"${4:-least}\" == \"most\" ? ($3 <= $2) : ($3 >= $2)) print \"yes\"; else print \"**no**\"}") ;;
	esac
	echo "| $1 | ${4:+at most }$2 | ${3:-none} | $verdict |" >>"$work/$part.goals"
}
f3() { awk '{printf "%.3f\n", $1}'; }

# busy: the share of the processors' time that others use, over a second in which this script sleeps.
busy() {
	before=$(head -1 /proc/stat)
	sleep 1
	{ echo "$before"; head -1 /proc/stat; } | awk '{for (i = 2; i <= 9; i++) all += (NR == 1 ? -1 : 1) * $i; idle += (NR == 1 ? -1 : 1) * ($5 + $6)} END {printf "%.0f %%", 100 * (all - idle) / all}'
}

# measure PART: its text goes to performance/CLASS/PART.md, its goals to PART.goals.
measure() {
	part=$1
	case " $parts " in *" $part "*) ;; *) return 0 ;; esac
	others=$(busy)
	echo "$(date +%H:%M:%S) $part (others: $others)" >&2
	: >"$work/$part.goals"
	begun="$(date -u +'%Y-%m-%d %H:%M') UTC; other programs then took $others of the processors"
	if "$part" >"$work/$part.md"; then
		{ echo; echo "Measured $begun."; } >>"$work/$part.md"
		mv "$work/$part.md" "$docs/$class/$part.md"
		mv "$work/$part.goals" "$docs/$class/$part.goals"
	else
		echo "performance.sh: $part failed" >&2
		failed=1
	fi
}
failed=0
code() { echo '```'; cat; echo '```'; }

# gobench PACKAGE PATTERN TIME: Go benchmarks, as go test prints them.
gobench() { (cd "$root" && go test "$1" -run '^$' -bench "$2" -benchtime "$3" -timeout 60m | grep '^Benchmark'); }
# metric NAME: the figures of a unit in the output of gobench, one a line.
metric() { awk -v unit="$1" '{for (i = 2; i < NF; i++) if ($(i + 1) == unit) print $i}'; }

gemm() {
	echo "## Products 1024^3"; echo
	gobench ./pkg/kernel 'MatMul/^n=1024$' 15x >"$work/go"
	gobench ./pkg/kernel/blas 'Sgemm$' 15x >>"$work/go"
	best=$(grep -v portable <"$work/go" | sed -n 's,.*/\(avx[0-9a-z]*\)/.*,\1,p' | tail -1)
	for form in "NN false false" "NT false true" "TN true false"; do
		set -- $form
		goal "sgemm 1024^3 $1, share of the FMA peak" 0.90 "$(grep "ta=$2/tb=$3/${best:-portable}/bf16=false" <"$work/go" | metric of-peak | f3)"
	done
	gonum=$(grep 'ta=false/tb=false/gonum' <"$work/go" | metric GFLOP/s)
	goal "portable path, sgemm 1024^3 NN against gonum" 1.0 "$(grep 'ta=false/tb=false/portable/bf16=false' <"$work/go" | metric GFLOP/s | awk -v g="$gonum" '{printf "%.2f", $1 / g}')"
	goal "bf16 product 1024^3 NT, share of the bf16 peak" 0.75 "$(grep "ta=false/tb=true/${best:-portable}/bf16=true" <"$work/go" | metric of-peak | f3)"
	code <"$work/go"
}
products() {
	echo "## Products of a training step, each timed by itself"
	gobench ./internal/bench 'Products' 7x >"$work/go"
	for m in llama-60m gpt2-small; do
		goal "products of a $m step, B=4 T=256, time-weighted share of peak" 0.85 "$(grep "$m/all" <"$work/go" | metric of-peak | f3)"
	done
	echo; code <"$work/go"
}
steps() {
	echo "## Training steps"; echo
	for c in "llama-60m 4 256 f32 f32" "llama-60m 4 256 bf16 f32" "llama-60m 4 256 bf16 bf16" "gpt2-small 1 512 f32 f32" "gpt2-small 4 256 f32 f32" "deit-small 4 0 f32 f32"; do
		set -- $c
		seq="--seq $3"
		[ "$3" = 0 ] && seq='' # images have their own length
		bench step --model "$1" --batch "$2" $seq --dtype "$4" --moments "$5" --steps 7 --json >"$work/json"
		if [ "$c" = "llama-60m 4 256 f32 f32" ]; then
			goal "training step llama-60m B=4 T=256, model FLOPs utilisation" 0.83 "$(key mfu <"$work/json" | f3)"
			goal "Go heap a step, KiB" 64 "$(key heap_step <"$work/json" | awk '{printf "%.1f", $1/1024}')" most
		fi
		case $c in
		"llama-60m 4 256 f32 f32") arena=$(key arena_bytes <"$work/json") ;;
		"llama-60m 4 256 bf16 f32")
			goal "bf16 step llama-60m B=4 T=256, share of the bf16 peak" 0.80 "$(key mfu <"$work/json" | f3)"
			goal "bf16 step llama-60m B=4 T=256, arena against float32's" 0.60 "$(key arena_bytes <"$work/json" | awk -v f="$arena" '{printf "%.2f", $1 / f}')" most
			;;
		esac
		awk -v j="$(tr -d '\n' <"$work/json")" -v m="$5" 'function k(n) {match(j, "\"" n "\": *\"?[^,\"}]*"); s = substr(j, RSTART, RLENGTH); sub(/.*: *"?/, "", s); return s}
			BEGIN {printf "- %s, batch %s x %s, %s, moments %s: %.1f ms, %.1f %s/s, utilisation %.3f of %.0f GFLOP/s, planned %s MiB, peak resident %s MiB, heap %.1f KiB a step\n",
				k("model"), k("batch"), k("seq"), k("dtype"), m, k("ms"), k("per_s"), k("unit"), k("mfu"), k("peak_gflops"), k("planned_mib"), k("peak_rss_mib"), k("heap_step") / 1024}'
	done
}
# median: of numbers, one a line.
median() { sort -g | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
infer() {
	echo "## Inference, dense and with 2.2x fewer parameters outside embeddings (uniform widths)"; echo
	echo "Medians over $((2 * rounds + 1)) rounds that measure one after the other; a ratio is taken within a round. A decoded token reads every weight"
	echo "but the input embedding's, so that the output embedding, which is not pruned, bounds what pruning gains: 1.49 in llama-60m, where it is"
	echo "16 of 42 million parameters, 1.97 in llama-350m."
	for m in llama-60m llama-350m; do
		for t in f32 bf16 q8_0; do
			[ $m$t = llama-350mq8_0 ] && continue
			rm -f "$work"/r.*
			for _ in $(seq $((2 * rounds + 1))); do
				bench infer --model $m --all-modes --dtype $t --steps 5 --json >"$work/dense"
				bench infer --model $m --all-modes --dtype $t --steps 5 --prune 0.4545 --of prunable --json >"$work/pruned"
				for i in 1 2 3; do
					d=$(key per_s <"$work/dense" | sed -n ${i}p) p=$(key per_s <"$work/pruned" | sed -n ${i}p)
					echo "$d" >>"$work/r.d$i"
					echo "$p" >>"$work/r.p$i"
					awk "BEGIN {print $p / $d}" >>"$work/r.r$i"
				done
				for i in 1 2; do
					key read_share <"$work/dense" | sed -n ${i}p >>"$work/r.ds$((i + 1))"
					key read_share <"$work/pruned" | sed -n ${i}p >>"$work/r.ps$((i + 1))"
				done
				{ key read_share <"$work/dense" | sed -n 2p; key mfu <"$work/dense" | sed -n 3p; } | sort -g | tail -1 >>"$work/r.limit"
			done
			echo
			echo "| $m, $t | dense, tokens/s | of the read bandwidth | pruned | of the read bandwidth | ratio |"
			echo "|---|---|---|---|---|---|"
			i=0
			for what in "prefill 1 x 1024" "decode" "decode, 16 sequences"; do
				i=$((i + 1)) ds='' ps=''
				if [ $i -gt 1 ]; then ds=$(median <"$work/r.ds$i" | f3) ps=$(median <"$work/r.ps$i" | f3); fi
				ratio=$(median <"$work/r.r$i" | awk '{printf "%.2f", $1}')
				echo "| $what | $(median <"$work/r.d$i" | awk '{printf "%.0f", $1}') | $ds | $(median <"$work/r.p$i" | awk '{printf "%.0f", $1}') | $ps | $ratio |"
				case $t in f32) least=0.90 ;; bf16) least=0.95 ;; *) least=0.88 ;; esac
				[ $m$i = llama-60m2 ] && goal "decode llama-60m $t, share of what the read bandwidth allows" $least "$ds"
				[ $m$i = llama-60m3 ] && goal "decode llama-60m $t, 16 sequences at once, share of the lower of the two limits" 0.80 "$(median <"$work/r.limit" | f3)"
				[ $m = llama-350m ] && [ $i -lt 3 ] && goal "$what, llama-350m $t, 2.2x fewer parameters, throughput against dense" 1.7 "$ratio"
			done
		done
	done
	return 0
}
vocabulary() {
	echo "## Evaluation with a vocabulary of 150 thousand"; echo
	"$work/random_model" "$root/scripts/sizes/qwen3-0.6b.json" "$work/model" >&2 || return 1
	gobench ./pkg/kernel 'MatMul/^n=1024$/^ta=false$/^tb=true$' 15x >"$work/go"
	"$work/ecospa" eval --model "$work/model" --data "$work/model/text.txt" --limit 4096 --json >"$work/json" || return 1
	gobench ./pkg/kernel 'MatMul/^n=1024$/^ta=false$/^tb=true$' 15x >>"$work/go"
	rm -rf "$work/model"
	rate=$(grep "/$class/bf16=false" <"$work/go" | metric GFLOP/s | sort -g | tail -1)
	tokens=$(key tokens <"$work/json") params=$(key params <"$work/json") seconds=$(key seconds <"$work/json")
	least=$(awk "BEGIN {printf \"%.1f\", 2 * $params * $tokens / $rate / 1e9}")
	echo "Qwen3-0.6B's shape with random weights, $tokens tokens in windows of 1024, 151,936 ids: $seconds s. Two operations a parameter and token (the"
	echo "embedding counts once, as head; attention's products not at all) take $least s at the $rate GFLOP/s of products of 1024^3 before and after it, the better of the two."
	goal "eval of a vocabulary of 150k, time against its FLOPs at the rate of products" 1.15 "$(awk "BEGIN {printf \"%.2f\", $seconds / $least}")" most
}
large() {
	echo "## llama-1b, float32 AdamW, B=1 T=256, dense and with half of its parameters (uniform widths), one run"; echo
	bench step --model llama-1b --batch 1 --seq 256 --steps 3 --prune 0.5 --versus-dense --json >"$work/json"
	goal "llama-1b dense, peak resident, GiB" 24 "$(key peak_rss_mib <"$work/json" | head -1 | awk '{printf "%.1f", $1/1024}')" most
	goal "llama-1b pruned to half, planned memory against dense" 0.50 "$(key planned_ratio <"$work/json" | f3)" most
	goal "llama-1b pruned to half, time a step against dense" 0.60 "$(key time_ratio <"$work/json" | f3)" most
	code <"$work/json"
}
memory() {
	echo "## Memory by purpose, and what recomputing costs"; echo
	gobench ./internal/bench 'Memory' 3x | code
}
evidence() {
	echo "## Gathering evidence"; echo
	gobench ./internal/bench 'Evidence' 12x >"$work/go"
	goal "cost of gathering evidence on a step" 0.02 "$(metric cost-% <"$work/go" | awk '{printf "%.3f", $1 / 100}')" most
	code <"$work/go"
}
attention() {
	echo "## Attention by head width, B=4 T=256, 8 heads"; echo
	gobench ./pkg/kernel 'Attention' 15x >"$work/go"
	for w in forward backward; do
		goal "attention $w, share of peak, least of the head widths 32, 37, 61, 64, 80, 128" 0.80 "$(grep "B=4.*/$w" <"$work/go" | metric of-peak | sort -g | head -1 | f3)"
	done
	code <"$work/go"
}
staircase() {
	echo "## Time against width"; echo
	gobench ./pkg/kernel 'Staircase' 15x >"$work/go"
	goal "worst step of time a column against width" 0.05 "$(metric worst-step-% <"$work/go" | sort -g | tail -1 | awk '{printf "%.3f", $1 / 100}')" most
	code <"$work/go"
}
kernels() {
	echo "## Kernels"; echo
	ECOSPA_ROOFLINE="$(cd "$docs/$class" && pwd)/roofline.svg" gobench ./pkg/kernel 'Kernels' 9x | code
	echo; echo "![where each kernel stands]($class/roofline.svg)"
}
torch() {
	[ "${TORCH:-yes}" = no ] && { echo "PyTorch was not measured."; return 0; }
	echo "## Against PyTorch, in turn"; echo
	"$root/scripts/versus_torch.sh" -n "$rounds" -s 4 -c "train:llama-60m:4:256:f32 train:llama-60m:4:256:bf16 train:gpt2-small:1:512:f32 train:deit-small:4:0:f32 infer:llama-60m:4:256:f32 infer:llama-60m:4:256:bf16" $yardstick >"$work/torch.table" || return 1
	"$root/scripts/versus_torch.sh" -n "$rounds" -s 3 -c "train:qwen3-mini:1:256:f32" "$root/scripts/torch_qwen3.py" | tail -1 >>"$work/torch.table" || return 1
	cat "$work/torch.table"
	# ratio CASE COLUMN: the median of a cell.
	ratio() { grep -F "| $1 |" "$work/torch.table" | cut -d'|' -f"$2" | awk '{print $1}'; }
	goal "llama-60m step against PyTorch as installed" 2.8 "$(ratio 'train llama-60m B=4 T=256 f32' 6)"
	goal "llama-60m step against PyTorch tuned" 2.0 "$(ratio 'train llama-60m B=4 T=256 f32' 7)"
	goal "gpt2-small B=1 T=512 step against PyTorch tuned" 3.5 "$(ratio 'train gpt2-small B=1 T=512 f32' 7)"
	goal "deit-small B=4 step against PyTorch tuned" 5.3 "$(ratio 'train deit-small B=4 T=0 f32' 7)"
	goal "qwen3 of 6 layers, B=1 T=256, step against PyTorch tuned" 3.0 "$(ratio 'train qwen3-mini B=1 T=256 f32' 7)"
	case $class in avx512) least=1.8 ;; *) least=1.6 ;; esac
	goal "bf16 step llama-60m against PyTorch tuned, bf16 autocast" $least "$(ratio 'train llama-60m B=4 T=256 bf16' 7)"
	goal "inference llama-60m f32 against PyTorch tuned" 1.8 "$(ratio 'infer llama-60m B=4 T=256 f32' 7)"
	goal "inference llama-60m bf16 against PyTorch tuned" 1.1 "$(ratio 'infer llama-60m B=4 T=256 bf16' 7)"
	goal "peak resident set of the llama-60m step against PyTorch" 0.55 "$(ratio 'train llama-60m B=4 T=256 f32' 8)" most
}
llamacpp() {
	[ -n "$llama" ] || { echo "llama.cpp was not measured."; return 0; }
	echo "## Against llama.cpp, in turn"; echo
	"$root/scripts/versus_llamacpp.sh" -n "$rounds" "$llama" >"$work/llama.table" || return 1
	cat "$work/llama.table"
	ratio() { grep -F "| $1 |" "$work/llama.table" | cut -d'|' -f5 | awk '{print $1}'; }
	goal "prefill llama-60m f32 against llama.cpp" 2.0 "$(ratio 'prefill llama-60m, 1024 tokens, f32')"
	goal "prefill llama-60m bf16 against llama.cpp" 1.8 "$(ratio 'prefill llama-60m, 1024 tokens, bf16')"
	goal "prefill llama-60m q8_0 against llama.cpp" 2.0 "$(ratio 'prefill llama-60m, 1024 tokens, q8_0')"
	goal "decode llama-60m q8_0 against llama.cpp" 1.2 "$(ratio 'decode llama-60m, q8_0')"
}
yardstick=${1:-}
for p in $all; do measure "$p"; done

# A page of this class, and the table of all classes' goals.
{
	echo "# Performance of processors of the class $class"
	echo
	echo "$(grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //'), $(nproc) cores, $(awk '/MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo); $("$work/ecospa" --version), $(go env GOVERSION). Written by"
	echo
	echo '```sh'
	echo 'scripts/performance.sh [-l LLAMA_DIR] [YARDSTICK]'
	echo '```'
	echo
	echo "Two threads, float32 unless said. Peaks are measured in the same process, so that shares compare on a machine whose"
	echo "clock changes; a ratio is taken within one round. Each part says when it was measured and what other programs took of the"
	echo "processors when it began (or the load then, in which the part before it counts)."
	echo
	echo "| figure | at least | measured | met |"
	echo "|---|---|---|---|"
	for p in $all; do [ -f "$docs/$class/$p.goals" ] && cat "$docs/$class/$p.goals"; done
	for p in $all; do [ -f "$docs/$class/$p.md" ] && { echo; cat "$docs/$class/$p.md"; }; done
} >"$docs/$class.md"
{
	classes=$(cd "$docs" && ls -d */ | tr -d / | tr '\n' ' ')
	echo "# Performance"
	echo
	echo "Goals and what was measured by the class of the processor (its kernels' path), two cores each; **what misses a goal is bold**. A class's page has the date, the machine and"
	echo "all figures: $(for c in $classes; do echo "[$c](performance/$c.md)"; done | tr '\n' ' ')"
	echo
	for c in $classes; do
		for p in $all; do
			[ ! -f "$docs/$c/$p.goals" ] || sed "s/^/$c/" "$docs/$c/$p.goals"
		done
	done | awk -F ' *[|] *' -v classes="$classes" -v this="$class" '
		!($2 in least) {order[++n] = $2}
		!($2 in least) || $1 == this {least[$2] = $3}
		{found[$1, $2] = $4}
		function shown(c, f,   v, g) {
			if (!((c, f) in found)) return "not measured"
			v = found[c, f]; g = least[f]
			if (v !~ /^-?[0-9.]+$/) return v
			if (g ~ /most/) { sub(/at most /, "", g); return v + 0 <= g + 0 ? v : "**" v "**" }
			return v + 0 >= g + 0 ? v : "**" v "**"
		}
		END {
			k = split(classes, c, " ")
			head = "| figure | at least |"; rule = "|---|---|"
			for (i = 1; i <= k; i++) { head = head " " c[i] " |"; rule = rule "---|" }
			print head; print rule
			for (i = 1; i <= n; i++) {
				row = "| " order[i] " | " least[order[i]] " |"
				for (j = 1; j <= k; j++) row = row " " shown(c[j], order[i]) " |"
				print row
			}
		}'
	echo
	cat "$docs/notes.md"
} >"$docs.md"
exit $failed

#!/bin/sh
# What docs/scaling.md measures, in about a quarter of an hour on two cores: loss curves
# on 1, 2 and 4 ranks beside one process, sums and steps of two hosts over links of 1 and
# 10 Gbit/s beside the model of time and bytes, and what the model says of 64 hosts.
# Needs root, Open MPI, ip and tc. Prints Markdown; with -w it goes into docs/scaling.md,
# between the lines that say "measured".
#
#   scripts/scaling.sh [-w] TEXT
set -eu
write=no
while getopts w flag; do
	case $flag in
	w) write=yes ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -eq 1 ] || { echo "usage: $0 [-w] TEXT" >&2; exit 2; }
text=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
(cd "$here/.." && go build -tags mpi -o "$dir/ecospa" .)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
say() { echo "$(date +%H:%M:%S) $*" >&2; }
# key NAME: the numbers behind NAME in JSON, one a line.
key() { tr -d ' \n' | sed 's/[,{]"/\n"/g' | sed -n 's/^"'"$1"'":\([0-9.eE+-]*\).*/\1/p'; }
# column RUN KEY: the numbers behind KEY in a run's metrics, one a step that has it.
column() { sed -n 's/.*"'"$2"'":\([0-9.eE+-]*\).*/\1/p' "$dir/$1/metrics.jsonl"; }

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
	say "training on $ranks ranks: $name"
	set -- pretrain -c "$dir/run.yaml" --out "$dir/$name" "$@"
	if [ "$ranks" = 0 ]; then
		"$dir/ecospa" "$@" >/dev/null 2>"$dir/$name.log"
	else
		mpirun -np "$ranks" --oversubscribe "$dir/ecospa" "$@" >/dev/null 2>"$dir/$name.log"
	fi || { cat "$dir/$name.log" >&2; exit 1; }
}
worst() { # the largest relative difference of a run's losses from one process's
	column one loss >"$dir/a"
	column "$1" loss >"$dir/b"
	paste "$dir/a" "$dir/b" | awk '{d = ($1 > $2 ? $1 - $2 : $2 - $1) / $1; if (d > m) m = d} END {printf "%.1e", m}'
}
# plans RUN: the units that its plans keep, without scores, whose last bits depend on the order of sums.
plans() { for p in "$dir/$1"/plans/*.json; do tr -d ' \n' <"$p" | grep -o '"kept":\[\[[0-9,]*\(\],\[[0-9,]*\)*\]\]'; done | cksum; }
row() { # RUN WHAT
	[ "$(plans one)" = "$(plans "$1")" ] && same="the same" || same="differ"
	# Weights, gradients and the like stay; what a rank keeps of the moments is the column.
	echo "| $2 | $(worst "$1") | $(column "$1" val_loss | tail -1 | awk '{printf "%.5f", $1}') | $same | $(column "$1" moments | head -1) |"
}
curves() {
	run one 0
	echo "A llama of $(column one params | head -1) parameters (at the end $(column one params | tail -1)), 200 steps, two pruning events, one thread a rank:"
	echo
	echo "| run | largest difference of a loss from one process's, relative | validation loss at the end | units kept | bytes of moments a rank, before pruning |"
	echo "|---|---|---|---|---|"
	row one "one process"
	for n in 1 2 4; do
		run "np$n" $n
		row "np$n" "mpirun -np $n"
	done
	run bf16 2 --set train.wire=bf16
	row bf16 "mpirun -np 2, \`train.wire: bf16\`"
	run shard 2 --set train.shard_optimizer=true
	row shard "mpirun -np 2, \`train.shard_optimizer: true\`"
}

# Steps of llama-60m, 256 tokens a sequence, one thread a rank.
step="bench step --model llama-60m --seq 256 --threads 1 --json"
rank=4 # sequences a rank
fit() { # KEEP (of the prunable parameters): parameters, and milliseconds that are fixed and that a sequence takes; another process works beside
	say "one process, $1 of the prunable parameters"
	for b in 2 $rank; do
		"$dir/ecospa" $step --batch $b --prune "$1" --of prunable --steps 9 >/dev/null &
		other=$!
		"$dir/ecospa" $step --batch $b --prune "$1" --of prunable --steps 5 >"$dir/fit.$b"
		kill $other 2>/dev/null || true
		wait $other 2>/dev/null || true
	done
	awk -v p="$(key params <"$dir/fit.2")" -v a="$(key ms <"$dir/fit.2")" -v b="$(key ms <"$dir/fit.$rank")" -v n=$rank \
		'BEGIN {s = (b - a) / (n - 2); printf "%d %.3f %.3f\n", p, b - n * s, s}'
}
wire() { # RATE: seconds of an exchange and GB/s, of f32 and of bf16
	say "sums over $1"
	"$here/two_hosts.sh" "$1" -- "$dir/ecospa" bench wire --json 2>/dev/null | sed '/^bytes sent/d' >"$dir/wire.$1"
	key ms <"$dir/wire.$1" >"$dir/ms"
	key gb_s <"$dir/wire.$1" >"$dir/gbs"
	# Rows alternate, f32 before bf16, from the shortest to the longest; of one element the
	# former is one exchange between two, the latter two.
	echo "$(sed -n 1p "$dir/ms" | awk '{print $1 / 1e3}') $(sed -n 9p "$dir/gbs") $(sed -n 2p "$dir/ms" | awk '{print $1 / 2e3}') $(sed -n 10p "$dir/gbs")"
}
# The model of docs/scaling.md, in awk: times in ms, bandwidth in GB/s, latency in s.
model='
function ceil(x) {return x == int(x) ? x : int(x) + 1}
function passed(n, p, width) {return 2 * (n - 1) / n * width * p}
function band(n, p, width, gbs) {return n == 1 ? 0 : passed(n, p, width) / gbs / 1e6}
function lag(n, p, lat) {return 2e3 * (n - 1) * ceil(4 * p / 4194304) * lat}
function shown(n, b, p, width, lat, gbs, seq, x) {x = band(n, p, width, gbs) + lag(n, p, lat) - 2 / 3 * b * seq; return x > 0 ? x : 0}
function ms(n, b, p, width, lat, gbs, fixed, seq) {return fixed + b * seq + shown(n, b, p, width, lat, gbs, seq)}
'
hosts() { # RATE WIRE KEEP
	say "two hosts over $1, $2, $3 of the prunable parameters"
	out=$("$here/two_hosts.sh" "$1" -- "$dir/ecospa" $step --batch $((2 * rank)) --prune "$3" --of prunable --wire "$2" --steps 5 2>/dev/null)
	[ "$3" = 1 ] && set -- "$1" "$2" $dense || set -- "$1" "$2" $pruned
	eval "link=\$link_$1"
	echo "$out" | key ms >"$dir/ms"
	# The first step is not timed, but sends.
	awk -v rate="$1" -v wire="$2" -v p="$3" -v fixed="$4" -v seq="$5" -v took="$(cat "$dir/ms")" -v bytes="${out##* }" -v b=$rank -v link="$link" "$model"'
		BEGIN {
			split(link, l, " ")
			f32 = wire == "f32"
			width = f32 ? 4 : 2
			printf "| %s | %s | %d | %.1f | %.1f | %.0f | %.0f |\n", rate, wire, p, bytes / 6e6, passed(2, p, width) / 1e6, took, ms(2, b, p, width, f32 ? l[1] : l[3], f32 ? l[2] : l[4], fixed, seq)
		}'
}
project() { # LINK SPEED: efficiency with a fixed batch a rank, speed-up with a fixed batch, and where either ends
	awk -v link="$1" -v speed="$2" -v dense="$dense" -v pruned="$pruned" -v b=$rank -v total=64 "$model"'
		# why names the largest term of a step on n hosts.
		function why(n, b, i, x) {
			x = shown(n, b, p[i], w[i], lat[i], gbs[i], seq[i])
			if (x <= fixed[i]) return x > b * seq[i] || fixed[i] > b * seq[i] ? "what does not shrink with the batch" : "nothing yet"
			return lag(n, p[i], lat[i]) > band(n, p[i], w[i], gbs[i]) ? "the latency of 2(N-1) exchanges" : "the bandwidth of the link"
		}
		BEGIN {
			split(link, l, " ")
			name[1] = "f32"; name[2] = "bf16"; name[3] = "f32, pruned"
			for (i = 1; i <= 3; i++) {
				split(i == 3 ? pruned : dense, d, " ")
				p[i] = d[1]; fixed[i] = d[2] / speed; seq[i] = d[3] / speed
				w[i] = i == 2 ? 2 : 4; lat[i] = i == 2 ? l[3] : l[1]; gbs[i] = i == 2 ? l[4] : l[2]
				end[i] = 1; best[i] = 1; top[i] = 1
			}
			print "| hosts | 4 sequences a host: efficiency, f32 | bf16 | f32, pruned | batch of 64: times as fast as one host, f32 | bf16 | f32, pruned |"
			print "|---|---|---|---|---|---|---|"
			for (n = 1; n <= 64; n *= 2) {
				line = "| " n " |"
				for (i = 1; i <= 3; i++) {
					e = ms(1, b, p[i], w[i], lat[i], gbs[i], fixed[i], seq[i]) / ms(n, b, p[i], w[i], lat[i], gbs[i], fixed[i], seq[i])
					if (e >= 0.5) end[i] = n
					line = line sprintf(" %.2f |", e)
				}
				for (i = 1; i <= 3; i++) {
					s = ms(1, total, p[i], w[i], lat[i], gbs[i], fixed[i], seq[i]) / ms(n, total / n, p[i], w[i], lat[i], gbs[i], fixed[i], seq[i])
					if (s > 1.2 * top[i]) { top[i] = s; best[i] = n }
					line = line sprintf(" %.1f |", s)
				}
				print line
			}
			print ""
			for (i = 1; i <= 3; i++) {
				weak = end[i] == 64 ? "at 64 hosts the efficiency is still one half or more" : "with " 2 * end[i] " hosts the efficiency falls below one half, because of " why(2 * end[i], b, i)
				strong = best[i] == 64 ? "a batch of 64 gains up to 64 hosts" : "a batch of 64 gains no more than a fifth from doubling " best[i] " hosts, because of " why(2 * best[i], total / 2 / best[i], i)
				printf "- %s: %s; %s.\n", name[i], weak, strong
			}
		}'
}
measure() {
	curves
	echo
	link_1gbit=$(wire 1gbit)
	link_10gbit=$(wire 10gbit)
	dense=$(fit 1) pruned=$(fit 0.5)
	echo "Two hosts are network namespaces of this machine, joined by a link of a limited rate (\`scripts/two_hosts.sh\`), with one"
	echo "rank of one thread each; \`bench wire\`, the latency of an exchange and the rate of long sums:"
	echo
	echo "| link | latency, f32, microseconds | GB/s, f32 | latency, bf16 | GB/s, bf16 |"
	echo "|---|---|---|---|---|"
	for rate in 1gbit 10gbit; do
		eval "echo \$link_$rate" | awk -v rate=$rate '{printf "| %s | %.0f | %.3f | %.0f | %.3f |\n", rate, $1 * 1e6, $2, $3 * 1e6, $4}'
	done
	echo
	echo "\`bench step\` of llama-60m, $rank x 256 tokens a rank. One process takes, beside another one on the other core:"
	echo "$dense $pruned" | awk '{printf "%.0f ms and %.0f ms a sequence with %d parameters, %.0f ms and %.0f ms with %d.\n", $2, $3, $1, $5, $6, $4}'
	echo "On the wire, as the link counts it, and by the model:"
	echo
	echo "| link | wire | parameters | MB a step, rank 0 | model | ms a step | model |"
	echo "|---|---|---|---|---|---|---|"
	for rate in 1gbit 10gbit; do
		hosts $rate f32 1
		hosts $rate bf16 1
		hosts $rate f32 0.5
	done
	echo
	echo "### Projected to 64 hosts"
	echo
	echo "Nothing here was measured: it is the model with the figures above."
	for rate in 1gbit 10gbit; do
		eval "link=\$link_$rate"
		echo
		echo "Hosts as those above, link of $rate:"
		echo
		project "$link" 1
	done
	echo
	echo "Hosts 16 times as fast, link of 10gbit:"
	echo
	project "$link_10gbit" 16
	echo
	echo "$(grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //'), $(nproc) cores, $(date -u +%Y-%m-%d), load before $load; $(mpirun --version | head -1); \`scripts/scaling.sh TEXT\`."
}
load=$(cut -d' ' -f1 /proc/loadavg)
if [ $write = no ]; then
	measure
	exit
fi
page=$here/../docs/scaling.md
[ "$(grep -c '^<!-- measured: \(begin\|end\) -->$' "$page")" = 2 ] || { echo "$0: $page has no two lines <!-- measured: begin --> and <!-- measured: end -->" >&2; exit 1; }
measure >"$dir/measured"
awk -v file="$dir/measured" '
	/^<!-- measured: end -->$/ {skip = 0}
	!skip {print}
	/^<!-- measured: begin -->$/ {skip = 1; while ((getline line <file) > 0) print line}' "$page" >"$dir/page"
cat "$dir/page" >"$page"

#!/bin/sh
# Measures a server with 1, 4, 16 and 64 clients beside llama.cpp on the same GGUF file, and
# prints docs/results/serve.md's table: medians of the rounds.
#
#   scripts/serve_load.sh [-r ROUNDS] [-s SECONDS] [-c CLIENTS] [-M MODEL] [-t TYPE] [DIR]
#
# MODEL is a size by name (default llama-60m, with random weights), TYPE the type of its weights:
# bf16 (default), f32 or q8_0. DIR has node-llama-cpp in DIR/node_modules; without it only ecospa
# is measured. 3 rounds of 12 seconds (the defaults) take less than eight minutes. Each client sends
# one request after the other: a prompt of 24 words, 64 new tokens, greedy, streamed.
set -eu
rounds=3 seconds=12 clients=1,4,16,64 name=llama-60m type=bf16
while getopts r:s:c:M:t: flag; do
	case $flag in
	r) rounds=$OPTARG ;;
	s) seconds=$OPTARG ;;
	c) clients=$OPTARG ;;
	M) name=$OPTARG ;;
	t) type=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/clients/await.sh"
modules=
[ $# -eq 0 ] || modules=$(cd "$1" && pwd)/node_modules
[ -z "$modules" ] || [ -d "$modules/node-llama-cpp" ] || { echo "serve_load.sh: no node-llama-cpp in $modules" >&2; exit 2; }
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
(cd "$root" && go build -o "$work/ecospa" . && go build -o "$work/load" ./scripts/clients/load)
cp "$root/scripts/clients/llamacpp.mjs" "$work"
[ -z "$modules" ] || ln -s "$modules" "$work/node_modules"
cat >"$work/run.yaml" <<-END
	model: {name: $name, context: 512}
	data: {synthetic: stories, bytes: 400KB, seed: 1}
	tokenizer: {train: bpe, vocab: 640}
	train: {steps: 1, batch: 1, context: 16, sample: 0, eval_tokens: 32}
END
quiet() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }; }
quiet "$work/ecospa" pretrain -c "$work/run.yaml" --dense --out "$work/run"
quiet "$work/ecospa" export --model "$work/run" --format gguf --dtype "$(echo "$type" | tr a-z A-Z)" --out "$work/model.gguf"
"$work/ecospa" serve --model "$work/model.gguf" --weights "$type" --port 0 --quiet 2>"$work/serve.log" &
server=$!
await_server 300
"$work/load" -header=false -clients 16 -seconds 1 "$url" >/dev/null # every size of a step is made once
for round in $(seq "$rounds"); do
	for n in $(echo "$clients" | tr , ' '); do
		"$work/load" -header=false -clients "$n" -seconds "$seconds" "$url" >>"$work/rows"
		[ -z "$modules" ] || timeout $((3 * seconds + 60)) node "$work/llamacpp.mjs" "$work/model.gguf" "$n" "$seconds" 24 64 >>"$work/rows" ||
			echo "serve_load.sh: llama.cpp with $n clients did not end; its threads wait for each other where others use the cores" >&2
	done
done
metric() { curl -fs "$url/metrics" | sed -n "s/^$1 //p"; }
echo "$name, $type, $(date +%F), $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(nproc) cores, load averages at the end: $(cut -d' ' -f1-3 /proc/loadavg)"
echo "prompts of $(($(metric ecospa_prompt_tokens_total) / $(metric ecospa_seconds_per_token_count))) tokens, 64 new ones; medians of $rounds interleaved rounds of $seconds s"
echo
echo '| server | clients | tokens/s | over one client | first token, median | first token, p99 | clients, of a core |'
echo '|---|---|---|---|---|---|---|'
for who in ecospa llama.cpp; do
	for n in $(echo "$clients" | tr , ' '); do
		row=$(grep "^| $who | $n |" "$work/rows" | sort -t'|' -k5 -n)
		[ -n "$row" ] || continue
		column() { echo "$row" | cut -d'|' -f"$1" | tr -dc '0-9.\n' | sort -g | awk '{x[NR] = $1} END {print (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]) / 2}'; }
		rate=$(column 5)
		[ "$n" != 1 ] || one=$rate
		busy="$(column 8) %"
		[ $who = ecospa ] || busy=- # in the process of the model
		echo "| $who | $n | $rate | $(awk "BEGIN {printf \"%.2f\", $rate / ${one:-$rate}}") | $(column 6) ms | $(column 7) ms | $busy |"
	done
done

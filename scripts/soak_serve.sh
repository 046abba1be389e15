#!/bin/sh
# Lets mixed clients use a server for a long time, and fails when its memory grows, when
# goroutines or pages of the arena are left over, or when an answer is none.
#
#   scripts/soak_serve.sh [-m MODEL] [-t SECONDS] [-c CLIENTS] [-o LOG]
#
# MODEL is any model or run (default: a small random one that is made here). SECONDS defaults
# to 3600. LOG gets a line a minute: seconds, resident KiB, goroutines, free pages of all.
# Clients: scripts/clients/load/mix.go.
set -eu
seconds=3600 clients=12 model= log=/dev/stdout
while getopts m:t:c:o: flag; do
	case $flag in
	m) model=$(cd "$OPTARG" && pwd) ;;
	t) seconds=$OPTARG ;;
	c) clients=$OPTARG ;;
	o) log=$OPTARG ;;
	*) exit 2 ;;
	esac
done
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/clients/await.sh"
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
(cd "$root" && go build -o "$work/ecospa" . && go build -o "$work/load" ./scripts/clients/load)
if [ -z "$model" ]; then
	model=$work/model
	cat >"$work/run.yaml" <<-END
		model: {family: llama, layers: 2, width: 64, heads: 4, ffn: 160, context: 256}
		data: {synthetic: stories, bytes: 200KB, seed: 1}
		tokenizer: {train: bpe, vocab: 512}
		train: {steps: 20, batch: 4, context: 64, sample: 0, eval_tokens: 512}
	END
	"$work/ecospa" pretrain -c "$work/run.yaml" --dense --out "$model" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
fi
"$work/ecospa" serve --model "$model" --port 0 --quiet --kv-memory 8MiB 2>"$work/serve.log" &
server=$!
await_server 100
metric() { curl -fs "$url/metrics" | sed -n "s/^$1 //p"; }
line() { echo "$1 $(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' /proc/$server/status) $(metric go_goroutines) $(metric ecospa_kv_pages_free)/$(metric ecospa_kv_pages)"; }

warm=$((seconds / 10 < 60 ? seconds / 10 + 1 : 60))
"$work/load" -mix -clients "$clients" -seconds "$warm" -words 60 "$url"
sleep 3
first=$(line 0)
echo "$first" >"$log"
begun=$(date +%s)
while now=$(($(date +%s) - begun)) && [ $now -lt "$seconds" ]; do
	left=$((seconds - now))
	"$work/load" -mix -clients "$clients" -seconds $((left < 60 ? left : 60)) -words 60 "$url" >>"$work/load.log" || { tail -5 "$work/load.log" >&2; exit 1; }
	sleep 2
	line $(($(date +%s) - begun)) >>"$log"
done
sleep 5
last=$(line $(($(date +%s) - begun)))
echo "$last" >>"$log"
echo "$first / $last" | awk '{
	split($4, a, "/"); split($9, b, "/")
	printf "resident %d -> %d KiB, goroutines %d -> %d, free pages %s -> %s\n", $2, $7, $3, $8, $4, $9
	if ($7 > 1.2 * $2 + 8192) { print "soak_serve.sh: memory grows"; exit 1 }
	if ($8 > $3 + 4) { print "soak_serve.sh: goroutines are left"; exit 1 }
	if (b[1] != b[2]) { print "soak_serve.sh: pages are left"; exit 1 }
}'
awk '{r += $3; t += $5; e += $7} END {printf "%d requests, %d tokens of streams, %d errors\n", r, t, e}' "$work/load.log"

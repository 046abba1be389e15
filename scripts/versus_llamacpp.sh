#!/bin/sh
# Times prefill (1024 tokens) and decoding (one token at a time) of llama-60m against llama.cpp's
# prebuilt library in turn, and prints the ratios as a Markdown table.
#
#   scripts/versus_llamacpp.sh [-n ROUNDS] DIR
#
# DIR has node-llama-cpp in DIR/node_modules (npm install node-llama-cpp, or npm install in a copy of
# scripts/interop). The model has random weights; its GGUF files come from `ecospa export`. llama.cpp
# runs through its JavaScript binding, which costs it something in decoding. A ratio is taken within a
# round; the table has the median of the rounds and, in brackets, the least and the greatest.
set -eu
rounds=3
while getopts n: flag; do
	case $flag in
	n) rounds=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
root=$(cd "$(dirname "$0")/.." && pwd)
[ -d "${1:-}/node_modules/node-llama-cpp" ] || { echo "versus_llamacpp.sh: no node-llama-cpp in ${1:-DIR}/node_modules" >&2; exit 2; }
modules=$(cd "$1" && pwd)/node_modules
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$root" && go build -o "$work/ecospa" .)
ln -s "$modules" "$work/node_modules"
cp "$root/scripts/interop/speed.mjs" "$work"
cat >"$work/run.yaml" <<-END
	model: {name: llama-60m, context: 2048}
	data: {synthetic: stories, bytes: 200KB, seed: 1}
	tokenizer: {train: bpe, vocab: 512}
	train: {steps: 1, batch: 1, context: 16, sample: 0, eval_tokens: 32}
END
"$work/ecospa" pretrain -c "$work/run.yaml" --dense --out "$work/model" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
for t in F32 BF16 Q8_0; do
	"$work/ecospa" export --model "$work/model" --format gguf --dtype $t --out "$work/$t.gguf" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
done

key() { tr -d ' \n' | sed 's/},{/}\n{/g' | sed -n 's/.*"'"$1"'":\([0-9.eE+-]*\).*/\1/p'; }
spread() { sort -g | awk '{x[NR] = $1} END {printf "%.2f [%.2f-%.2f]", (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]) / 2, x[1], x[NR]}'; }
median() { sort -g | awk '{x[NR] = $1} END {printf "%.0f", (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]) / 2}'; }

echo "| case | llama.cpp, tokens/s | ecospa | against llama.cpp |"
echo "|---|---|---|---|"
for dtype in f32 bf16 q8_0; do
	file=$work/$(echo $dtype | tr a-z A-Z).gguf
	: >"$work/rounds"
	for _ in $(seq "$rounds"); do
		a=$(cd "$work" && node speed.mjs "$file" 3)
		e=$("$work/ecospa" bench infer --all-modes --dtype $dtype --steps 5 --threads 2 --json | key per_s | tr '\n' ' ')
		echo "$(echo "$a" | key prefill_per_s) $(echo "$a" | key decode_per_s) $e" >>"$work/rounds"
	done
	col() { awk "{print $1}" "$work/rounds"; }
	echo "| prefill llama-60m, 1024 tokens, $dtype | $(col '$1' | median) | $(col '$3' | median) | $(col '$3/$1' | spread) |"
	echo "| decode llama-60m, $dtype | $(col '$2' | median) | $(col '$4' | median) | $(col '$4/$2' | spread) |"
done

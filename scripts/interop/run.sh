#!/bin/bash
# Shows that programs which nobody here wrote load what `ecospa export` writes:
# llama.cpp and onnxruntime (prebuilt, from npm), and PyTorch from the files alone.
#
#   scripts/interop/run.sh TEXT WORK [VOCAB]
#
# TEXT is plain English, of which the last 20 kB are never trained on (tiny
# Shakespeare in docs/results/interop.md); WORK is a scratch directory that keeps
# models between runs; VOCAB a folder with gpt2-vocab.json, gpt2-merges.txt and
# llama-tokenizer.model, for what is about those vocabularies. It needs go, node
# with npm, and a python3 with torch and numpy (PYTHON names it; ECOSPA the path of
# a binary instead of one that is built). It trains two small models, once. Every
# check prints one object of JSON; the first that fails ends the script.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
text=$(realpath "$1"); vocab=${3:+$(realpath "$3")}; mkdir -p "$2"; cd "$2"
python=${PYTHON:-/usr/bin/python3}
e=${ECOSPA:-$PWD/ecospa}
[ -n "${ECOSPA:-}" ] || (cd "$here/../.." && go build -o "$e" .)
if [ ! -d node_modules/node-llama-cpp ]; then
  cp "$here/package.json" .
  # The prebuilt libraries are in the packages: nothing is to be built or fetched.
  ONNXRUNTIME_NODE_INSTALL=skip NODE_LLAMA_CPP_SKIP_DOWNLOAD=true npm install --no-audit --no-fund --ignore-scripts
fi
cp "$here"/*.mjs .
head -c -20000 "$text" > train.txt
tail -c 20000 "$text" > held.txt
head -c 4000 held.txt > short.txt # for models that only llama.cpp's reader is tried with

for m in llama gpt2; do
  [ -d $m ] || $e pretrain -c "$here/$m.yaml" --data train.txt --out $m > $m.log 2>&1
done
# prune NAME FROM FLAGS...
prune() { local name=$1 from=$2; shift 2; [ -d "$name" ] || $e prune --from "$from" --data train.txt --sequences 48 --context 128 --out "$name" "$@" > "$name.log" 2>&1; }
prune llama-uniform llama --target 0.6x --for gguf-llama
prune llama-layers llama --target 0.6x --for gguf-deci
prune llama-heads llama --ratio head=0.25,qk=0.25,vo=0.25,ffn=0.3 --basis none --for gguf-deci
prune gpt2-narrow gpt2 --target 0.7x --for gguf-gpt2
prune llama-any llama --target 0.6x --for onnx
prune gpt2-any gpt2 --target 0.6x --for onnx
prune llama-hf llama --target 0.6x --for hf
prune gpt2-hf gpt2 --target 0.7x --for hf
for m in llama gpt2 vit deit vit-pruned; do
  [ -d made-$m ] || "$python" "$here/make.py" $m made-$m
done
# The same model twice: with nothing in front of a text, and with an end of text there.
[ -d llama-bos ] || node bos.mjs llama llama-bos

export_() { $e export --force "$@" > export.log || { cat export.log; exit 1; }; }

echo "== 1. llama.cpp: perplexity on the held-out 20 kB, 64 greedy tokens"
for m in llama llama-bos llama-uniform llama-layers llama-heads gpt2 gpt2-narrow; do
  export_ --model $m --format gguf --out $m.gguf
  node gguf.mjs $e $m $m.gguf held.txt
done
export_ --model llama-any --format gguf --pad --out llama-any.gguf
node gguf.mjs $e llama-any llama-any.gguf held.txt
for d in F16 BF16 Q8_0; do
  export_ --model llama-uniform --format gguf --dtype $d --out llama-$d.gguf
  node gguf.mjs $e llama-uniform llama-$d.gguf held.txt 0.01
done
for m in made-llama made-gpt2; do
  export_ --model $m --format gguf --out $m.gguf
  node gguf.mjs $e $m $m.gguf short.txt
done
if [ -n "$vocab" ]; then # Llama 2's vocabulary: its tokens, and <s> in front
  [ -d made-32000 ] || "$python" "$here/make.py" llama-32000 made-32000
  cp "$vocab/llama-tokenizer.model" made-32000/tokenizer.model
  export_ --model made-32000 --format gguf --out made-32000.gguf
  node gguf.mjs $e made-32000 made-32000.gguf short.txt
fi

echo "== 2. onnxruntime: logits"
for m in llama gpt2 llama-any gpt2-any made-llama made-gpt2 made-vit made-deit made-vit-pruned; do
  export_ --model $m --format onnx --out $m.onnx --logits $m.json
  node onnx.mjs $m.onnx $m.json
done
for dir in "$here"/../../testdata/golden/*/; do # every family, as PyTorch computed it
  m=golden-$(basename "$dir")
  export_ --model "$dir" --format onnx --out $m.onnx --logits $m.json
  node onnx.mjs $m.onnx $m.json
done
export_ --model llama-any --format onnx --dtype F16 --out llama-f16.onnx --logits llama-f16.json
node onnx.mjs llama-f16.onnx llama-f16.json 2e-3

echo "== 3. PyTorch, from the files alone: logits of what is exported, and of what it wrote"
for m in llama gpt2 llama-hf gpt2-hf made-vit made-deit; do
  export_ --model $m --format hf --out $m-export --logits $m.json
  "$python" "$here/hf.py" check $m-export $m.json
done
for m in llama-any gpt2-any made-vit-pruned; do
  export_ --model $m --format hf --pad --out $m-export --logits $m.json
  "$python" "$here/hf.py" check $m-export $m.json
done
"$python" "$here/imports.py" $e imports # what PyTorch wrote, read here

echo "== 5. round trip: directory, prune, finetune, export, import, eval"
prune round llama-export --target 0.7x --for hf
[ -d round-tuned ] || $e finetune --from round --data train.txt --out round-tuned \
  --set train.steps=40 --set train.batch=8 --set train.context=128 --set optim.lr=3e-4 > round-tuned.log 2>&1
export_ --model round-tuned --format hf --out round-export
for m in round round-tuned round-export; do
  $e eval --model $m --data held.txt --json > $m.eval.json
done
node -e '
const [p, a, b] = ["round", "round-tuned", "round-export"].map((m) => JSON.parse(require("fs").readFileSync(m + ".eval.json")).perplexity);
console.log(JSON.stringify({pruned: p, tuned: a, after_export: b, difference: b / a - 1}));
process.exit(Math.abs(b / a - 1) <= 1e-6 ? 0 : 1);'
if [ -n "$vocab" ]; then
  echo "== 6. tokenizers: every id of every text"
  node tokenizers.mjs "$vocab" "$here" "$(dirname "$text")"/*.txt
fi
echo "all checks passed"

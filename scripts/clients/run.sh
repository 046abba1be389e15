#!/bin/sh
# Asks a server by every client that is here: curl, promtool, the npm packages openai, ai and
# langchain, OpenAI's Go client, lm-evaluation-harness (whose figures are compared with
# `ecospa eval`), headless Chromium with the page, and for testdata/minilm's vectors
# @huggingface/transformers.
#
#   scripts/clients/run.sh MODEL [NODE_DIR [HARNESS [DOCS.jsonl]]]
#
# MODEL is a model or run; NODE_DIR has node_modules with openai, ai, @ai-sdk/openai-compatible,
# @langchain/openai, playwright-core and @huggingface/transformers; HARNESS is a checkout of
# lm-evaluation-harness, DOCS texts of up to 500 tokens. PYTHON (python3) has torch and what
# lmeval.py names. What is not here is said to be NOT RUN; the last line says how many passed.
set -eu
[ $# -ge 1 ] || { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/scripts/clients/await.sh"
python=${PYTHON:-python3}
model=$1 node=${2:-} harness=${3:-} docs=${4:-}
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
(cd "$root" && go build -o "$work/ecospa" .)
"$work/ecospa" serve --model "$model" --chat-template plain --port 0 --quiet 2>"$work/serve.log" &
server=$!
await_server 100
passed=0 failed=0 absent=0
try() {
	what=$1; shift
	if "$@" >"$work/out" 2>&1; then passed=$((passed + 1)); tail -1 "$work/out"; else failed=$((failed + 1)); echo "$what: FAILED"; cat "$work/out"; fi
}
without() { absent=$((absent + 1)); echo "NOT RUN: $1 is not here"; }

# A list, as within try nothing else ends a function at what fails.
calls() {
	curl -fsS "$url/v1/models" | grep -q '"object":"list"' &&
	curl -fsS "$url/v1/completions" -d '{"prompt":"Once upon a time","max_tokens":4,"temperature":0}' | grep -q '"finish_reason":"length"' &&
	curl -fsSN "$url/v1/chat/completions" -d '{"messages":[{"role":"user","content":"Hello"}],"max_tokens":4,"stream":true}' | grep -q '^data: \[DONE\]' &&
	[ "$(curl -s -o /dev/null -w '%{http_code}' "$url/v1/completions" -d '{"prompt":')" = 400 ] &&
	echo "curl: passed"
}
try curl calls
if command -v promtool >/dev/null; then try promtool sh -c "curl -fsS $url/metrics | promtool check metrics && echo promtool: passed"; else without promtool; fi
for script in openai ai page; do
	[ -n "$node" ] || { without "npm ($script)"; continue; }
	package=$script
	[ "$script" != page ] || package=playwright-core
	[ -d "$node/node_modules/$package" ] || { without "npm $package"; continue; }
	cp "$root/scripts/clients/$script.mjs" "$work"
	[ -e "$work/node_modules" ] || ln -s "$(cd "$node" && pwd)/node_modules" "$work/node_modules"
	case $script in page) at=$url ;; *) at=$url/v1 ;; esac
	try "npm $script" node "$work/$script.mjs" "$at"
done
(cd "$root/scripts/clients/openaigo" && go build -o "$work/openaigo" . 2>"$work/out") && try openai-go "$work/openaigo" "$url/v1" || without "Go module openai-go/v3"
if [ -n "$harness" ] && [ -n "$docs" ]; then
	try lm-evaluation-harness "$python" "$root/scripts/clients/lmeval.py" "$harness" "$url" "$docs" "$work/ecospa" "$model"
else
	without lm-evaluation-harness
fi
if [ -d "$node/node_modules/@huggingface/transformers" ] && "$python" -c 'import torch' 2>/dev/null; then
	"$python" "$root/scripts/clients/encoder_onnx.py" "$root/testdata/minilm" "$work/minilm" >"$work/out" 2>&1 || { cat "$work/out" >&2; exit 1; }
	sed 3d "$root/testdata/minilm/texts.jsonl" >"$work/texts.jsonl" # the third is longer than the model takes
	kill "$server"
	wait "$server" || true
	"$work/ecospa" serve --model "$work/minilm" --port 0 --quiet 2>"$work/serve.log" &
	server=$!
	await_server 100
	cp "$root/scripts/clients/embeddings.mjs" "$work"
	try transformers.js node "$work/embeddings.mjs" "$url/v1" "$work/minilm" "$work/texts.jsonl"
else
	without "npm @huggingface/transformers, or PyTorch,"
fi
echo "$passed passed, $failed failed, $absent not run"
[ $failed -eq 0 ]

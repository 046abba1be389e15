#!/bin/sh
# Prunes a model to several sizes with several budgets of recovery and measures each on text
# that the pruning does not see: the table of docs/results/quality.md, a line a row as it is made.
#
# usage: quality.sh ECOSPA MODEL TRAIN.jsonl TEST.jsonl OUT [THREADS] < ROWS
#
# A line of ROWS is TARGET BUDGET SEED and optionally "parent" for text drawn from the model, say
#   0.5x 200k 1
#   0.5x 700k 2 parent
# SEQUENCES in the environment is how many sequences are calibrated on, where not auto.
# Rows that OUT/table.md has already are left out, so that it goes on where it stopped.
set -eu
ecospa=$1 model=$2 train=$3 test=$4 out=$5 threads=${6:-0}
mkdir -p "$out"
table=$out/table.md
[ -e "$table" ] || printf '| kept | recovery | text | seed | loss | tokens | steps | seconds |\n|---|---|---|---|---|---|---|---|\n' >"$table"
while read -r target budget seed from; do
    from=${from:-text}
    grep -q "^| $target | $budget | $from | $seed |" "$table" && continue
    name=$out/$target-$budget-$from-$seed
    data=$train
    [ "$from" = parent ] && data=parent
    "$ecospa" prune --from "$model" --data "$data" --pack stream --target "$target" --of prunable --recover "$budget" \
        --sequences "${SEQUENCES:-auto}" --seed "$seed" --threads "$threads" --out "$name" --force --json >"$name.json" 2>"$name.log"
    "$ecospa" eval --model "$name" --data "$test" --threads "$threads" --json >"$name.eval.json"
    python3 - "$name" "$target" "$budget" "$from" "$seed" >>"$table" <<'P'
import json, sys
name, *cells = sys.argv[1:]
prune, loss = json.load(open(name + ".json")), json.load(open(name + ".eval.json"))["loss"]
r = prune.get("recovery") or {"tokens": 0, "steps": 0, "seconds": 0}
print("|", " | ".join(cells + ["%.4f" % loss, str(r["tokens"]), str(r["steps"]), "%.0f" % r["seconds"]]), "|")
P
    tail -n 1 "$table"
done

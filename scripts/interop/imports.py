"""ecospa reads what PyTorch wrote: every case of make.py, as F32, F16 and BF16, in one file and in three.

    imports.py ECOSPA WORK [BOUND]

ECOSPA computes logits on its fixed input (`export --logits`) and, of the models of text, the loss on
2000 bytes (`eval`); hf.py computes both from the files. Numbers of 16 bits count as they are stored. It
prints one JSON object and exits with 1 when a logit differs by more than BOUND (default 1e-4) of the
largest or a loss by more than BOUND nats.
"""
import json
import os
import shutil
import subprocess
import sys

import torch

import hf
import make

CONTEXT = 64


def loss(directory, ids):
    """Mean negative log likelihood in windows of CONTEXT+1 tokens with stride CONTEXT."""
    c, w = hf.read_directory(directory)
    forward, nats = {"llama": hf.llama, "gpt2": hf.gpt2}[c["model_type"]], 0.0
    for at in range(0, len(ids) - 1, CONTEXT):
        window = torch.tensor(ids[at:at + CONTEXT + 1])
        nats += float(torch.nn.functional.cross_entropy(forward(c, w, window[:-1]), window[1:], reduction="sum"))
    return nats / (len(ids) - 1)


def main():
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    ecospa, work, bound = sys.argv[1], sys.argv[2], float(sys.argv[3] if len(sys.argv) > 3 else "1e-4")
    text = bytes((i * 7919 + i * i // 3) % 95 + 32 for i in range(2000))
    os.makedirs(work, exist_ok=True)
    held = os.path.join(work, "held.txt")
    open(held, "wb").write(text)
    run = lambda *args: subprocess.run([ecospa, *args], check=True, stdout=subprocess.PIPE).stdout
    report, worst, worst_loss = {}, 0.0, 0.0
    for case in make.CASES:
        if case in ("large", "llama-32000"):
            continue
        report[case] = {}
        for dtype in ("F32", "F16", "BF16"):
            for shards in (1, 3):
                directory, answer = os.path.join(work, case), os.path.join(work, "logits.json")
                shutil.rmtree(directory, ignore_errors=True)
                make.make(case, directory, dtype, shards)
                run("export", "--force", "--model", directory, "--format", "onnx", "--out", os.path.join(work, "m.onnx"), "--logits", answer)
                probe = json.load(open(answer))
                relative = hf.difference(hf.logits(directory, probe), probe)
                worst, line = max(worst, relative), {"logits": relative}
                if "ids" in probe:
                    ours = json.loads(run("eval", "--model", directory, "--data", held, "--context", str(CONTEXT), "--json"))
                    assert ours["tokens"] == len(text) - 1
                    line["loss"] = ours["loss"] - loss(directory, list(text))
                    worst_loss = max(worst_loss, abs(line["loss"]))
                report[case][f"{dtype}, {shards}"] = line
    print(json.dumps({"cases": report, "logits": worst, "loss": worst_loss}))
    sys.exit(0 if worst <= bound and worst_loss <= bound else 1)


main()

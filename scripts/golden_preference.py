#!/usr/bin/env python3
"""Golden numbers of learning from preferences: python3 scripts/golden_preference.py

Writes pkg/model/testdata/preference.json: losses, rewards, margin and gradients of DPO
(https://arxiv.org/abs/2305.18290, equation 7) and SimPO (https://arxiv.org/abs/2405.14734,
equation 6) in PyTorch, of the model testdata/golden/llama that golden.py made. Every document is
run by itself; the tokens after its prompt are its answer. Needs torch and safetensors' format only.
"""

import json
import os
import struct

import torch
import torch.nn.functional as F

from golden import llama

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
DIR = os.path.join(ROOT, "testdata", "golden", "llama")
PAIRS = [  # tokens of the prompt, of the chosen and of the rejected answer
    ([3, 7], [1, 18, 5], [2, 2]),
    ([11], [4, 9, 16, 0], [8, 13, 6, 17, 10]),
    ([5, 1, 14], [12, 3, 3, 7], [15, 2, 9, 4, 1, 6]),
]
KEPT = ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.layers.1.mlp.down_proj.weight", "model.norm.weight", "lm_head.weight"]


def tensors(path):
    raw = open(path, "rb").read()
    (n,) = struct.unpack("<Q", raw[:8])
    out = {}
    for name, t in json.loads(raw[8:8 + n]).items():
        if name != "__metadata__":
            lo, hi = t["data_offsets"]
            out[name] = torch.frombuffer(bytearray(raw[8 + n + lo:8 + n + hi]), dtype=torch.float32).reshape(t["shape"]).clone()
    return out


def likelihood(c, p, prompt, answer):
    """Summed log-likelihood of an answer."""
    ids = torch.tensor([prompt + answer])
    logp = F.log_softmax(llama(c, p, ids[:, :-1]), -1)[0]
    at = torch.arange(len(prompt) - 1, ids.shape[1] - 1)
    return logp[at, ids[0, at + 1]].sum()


def main():
    c = json.load(open(os.path.join(DIR, "config.json")))
    p = tensors(os.path.join(DIR, "model.safetensors"))
    for t in p.values():
        t.requires_grad_(True)
    other = {n: (0.8 * t + 0.05).detach() for n, t in p.items()}
    reference = [[likelihood(c, other, x, y).item() for y in (good, bad)] for x, good, bad in PAIRS]
    out = {"pairs": PAIRS, "reference": reference, "losses": []}
    for name, beta, margin in [("dpo", 0.3, 0.0), ("simpo", 2.0, 0.7)]:
        for t in p.values():
            t.grad = None
        rewards, losses = [], []
        for (x, good, bad), ref in zip(PAIRS, reference):
            r = []
            for answer, before in zip((good, bad), ref):
                logp = likelihood(c, p, x, answer)
                r.append(beta * (logp - before) if name == "dpo" else beta / len(answer) * logp)
            rewards.append([v.item() for v in r])
            losses.append(-F.logsigmoid(r[0] - r[1] - margin))
        loss = torch.stack(losses).mean()
        loss.backward()
        out["losses"].append({
            "name": name, "beta": beta, "margin": margin, "loss": loss.item(), "rewards": rewards,
            "norm": torch.sqrt(sum((t.grad ** 2).sum() for t in p.values())).item(),
            "grads": {n: [float(f"{v:.8g}") for v in p[n].grad.flatten().tolist()] for n in KEPT},
        })
    path = os.path.join(ROOT, "pkg", "model", "testdata", "preference.json")
    with open(path, "w") as f:
        json.dump(out, f, separators=(",", ":"))
        f.write("\n")
    print(path)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Golden numbers of the optimizer apollo: python3 scripts/golden_apollo.py

Writes pkg/optim/testdata/apollo.json. The optimizer is written here a second time, as a
torch.optim.Optimizer in float64, from the paper (arXiv 2412.05270, algorithm 1, channel-wise
scaling, norm-growth limiter) and what docs of pkg/optim say differs: rows instead of columns,
signs instead of normal numbers, AdamW's bias correction, sqrt(E/rank), tables without the first moment. Steps cross the renewal of the
projection after step 200. Needs torch only.
"""

import json
import math
import os

import torch

M64 = (1 << 64) - 1
RANK, SEED, RENEW, GROW = 4, 7, 200, 1.01
BETAS, EPS, LR, DECAY, CLIP = (0.9, 0.95), 1e-8, 0.01, 0.1, 3.0
FIRST = 198  # steps before the first


def mix(x):
    x &= M64
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & M64
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & M64
    return x ^ x >> 31


def signs(epoch, cols):
    start = (mix((mix(SEED) + (epoch << 32) + cols) & M64)) & M64
    bits = [mix((start + i) & M64) & 1 for i in range(RANK * cols)]
    return torch.tensor([-1.0 if b else 1.0 for b in bits], dtype=torch.float64).view(RANK, cols) / math.sqrt(RANK)


class Apollo(torch.optim.Optimizer):
    def __init__(self, groups):
        super().__init__(groups, {"decay": 0.0, "rows": True, "table": False})
        self.t = FIRST

    @torch.no_grad()
    def step(self):
        self.t += 1
        grads = [p.grad for g in self.param_groups for p in g["params"]]
        clip = min(1.0, CLIP / torch.sqrt(sum((g * g).sum() for g in grads)).item())
        for group in self.param_groups:
            for p in group["params"]:
                self.move(p, p.grad * clip, group)

    def move(self, p, grad, group):
        st = self.state[p]
        r = grad
        if group["rows"]:
            r = grad @ signs(1 + (self.t - 1) // RENEW, p.shape[1]).T
        if not st:
            st["m"], st["v"], st["last"] = torch.zeros_like(r), torch.zeros_like(r), 0.0
        st["m"].lerp_(r, 1 - BETAS[0])
        st["v"].mul_(BETAS[1]).addcmul_(r, r, value=1 - BETAS[1])
        mhat = r if group["table"] else st["m"] / (1 - BETAS[0] ** self.t)
        step = mhat / ((st["v"] / (1 - BETAS[1] ** self.t)).sqrt() + EPS)
        if group["rows"]:
            scale = step.norm(dim=1) / r.norm(dim=1) * math.sqrt(p.shape[1] / RANK)
            step = grad * scale[:, None]
            norm = step.norm().item()
            if st["last"] > 0 and norm > GROW * st["last"]:
                step = step * (GROW * st["last"] / norm)
                norm = GROW * st["last"]
            st["last"] = norm
        p.mul_(1 - LR * group["decay"]).add_(step, alpha=-LR)


def short(t):
    return [float("%.9g" % x) for x in t.flatten().tolist()]


def main():
    torch.manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float32).to(torch.float64)
    shapes = {"table": (6, 24), "norm": (24,), "up": (5, 24), "down": (5, 24)}
    params = {n: torch.nn.Parameter(draw(*s) * 0.5) for n, s in shapes.items()}
    out = {"first": FIRST, "weights": {n: short(p) for n, p in params.items()}, "steps": []}
    opt = Apollo([
        {"params": [params["table"]], "table": True}, {"params": [params["norm"]], "rows": False},
        {"params": [params["up"], params["down"]], "decay": DECAY},
    ])
    for step in range(5):
        grads = {n: draw(*s) * (0.02 if step == 0 else 1.0) for n, s in shapes.items()}
        for n, p in params.items():
            p.grad = grads[n]
        opt.step()
        out["steps"].append({
            "grads": {n: short(g) for n, g in grads.items()},
            "weights": {n: short(p) for n, p in params.items()},
        })
    path = os.path.join(os.path.dirname(__file__), "..", "pkg", "optim", "testdata", "apollo.json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        json.dump(out, f)
        f.write("\n")


main()

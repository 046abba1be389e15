#!/usr/bin/env python3
"""Times a training step, or an inference pass, of Qwen3's shape in PyTorch on the CPU.

A yardstick for scripts/versus_torch.sh, with the flags and the keys of `ecospa bench step`:
grouped queries, a norm over each query's and key's head, SwiGLU, the head tied to the
embedding, AdamW, gradients clipped at 1.

    apt-get install -y python3-torch python3-numpy
    /usr/bin/python3 scripts/torch_qwen3.py --model qwen3-mini --batch 1 --seq 256 --steps 5 --threads 2
"""
import argparse
import json
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

#         layers width heads kv head ffn vocabulary
SIZES = {"qwen3-mini": (6, 1024, 16, 8, 128, 3072, 151936), "qwen3-0.6b": (28, 1024, 16, 8, 128, 3072, 151936)}


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Layer(nn.Module):
    def __init__(self, width, heads, kv, head, ffn):
        super().__init__()
        self.heads, self.kv, self.head = heads, kv, head
        self.before, self.between = Norm(width), Norm(width)
        self.q, self.k, self.v = (nn.Linear(width, n * head, bias=False) for n in (heads, kv, kv))
        self.o = nn.Linear(heads * head, width, bias=False)
        self.q_norm, self.k_norm = Norm(head), Norm(head)
        self.gate, self.up = (nn.Linear(width, ffn, bias=False) for _ in range(2))
        self.down = nn.Linear(ffn, width, bias=False)

    def forward(self, x, cos, sin, mask):
        batch, length, _ = x.shape
        h = self.before(x)
        q, k, v = (p(h).view(batch, length, -1, self.head).transpose(1, 2) for p in (self.q, self.k, self.v))
        q, k = rotate(self.q_norm(q), cos, sin), rotate(self.k_norm(k), cos, sin)
        k, v = (y.repeat_interleave(self.heads // self.kv, 1) for y in (k, v))
        scores = (q @ k.transpose(-2, -1) * self.head ** -0.5).masked_fill(mask, float("-inf"))
        y = (F.softmax(scores, -1) @ v).transpose(1, 2).reshape(batch, length, -1)
        x = x + self.o(y)
        h = self.between(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Qwen3(nn.Module):
    def __init__(self, layers, width, heads, kv, head, ffn, vocabulary):
        super().__init__()
        self.head = head
        self.embed = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(Layer(width, heads, kv, head, ffn) for _ in range(layers))
        self.norm = Norm(width)

    def forward(self, ids):
        length = ids.shape[1]
        angles = torch.outer(torch.arange(length).float(), 1e6 ** (-torch.arange(0, self.head, 2).float() / self.head))
        angles = torch.cat((angles, angles), -1)
        mask = torch.ones(length, length, dtype=torch.bool).triu(1)
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x, angles.cos(), angles.sin(), mask)
        return F.linear(self.norm(x), self.embed.weight)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", choices=SIZES, default="qwen3-mini")
    p.add_argument("--mode", choices=("train", "infer"), default="train")
    for name, value in (("batch", 1), ("seq", 256), ("steps", 5), ("threads", 2)):
        p.add_argument("--" + name, type=int, default=value)
    p.add_argument("--bf16", action="store_true")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    model = Qwen3(*SIZES[a.model])
    vocabulary = SIZES[a.model][-1]
    ids, targets = (torch.randint(vocabulary, (a.batch, a.seq)) for _ in range(2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.1)

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
            if a.mode == "infer":
                with torch.no_grad():
                    return model(ids)
            loss = F.cross_entropy(model(ids).float().view(-1, vocabulary), targets.view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    times = []
    for n in range(a.steps + 1):  # the first warms up
        begin = time.perf_counter()
        step()
        if n > 0:
            times.append(time.perf_counter() - begin)
    median = statistics.median(times)
    print(json.dumps({
        "engine": "torch " + torch.__version__, "model": a.model, "mode": a.mode, "dtype": "bf16" if a.bf16 else "f32",
        "params": sum(w.numel() for w in model.parameters()), "batch": a.batch, "seq": a.seq, "threads": a.threads,
        "ms": round(median * 1e3, 2), "per_s": round(a.batch * a.seq / median, 2), "unit": "tokens",
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


if __name__ == "__main__":
    main()

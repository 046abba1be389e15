#!/usr/bin/env python3
"""An independent forward pass of a LLaMA model over documents, in numpy's float64.

usage: stories.py MODEL IDS.json

MODEL is a directory with config.json and model.safetensors (float32, one file). IDS.json
holds the token ids of each document, `<s>` in front of each, as a list of lists: the
tokenizer is not what is checked here. Prints the loss in nats a predicted token, every
document by itself, longer ones in windows of the model's context.
"""
import json
import struct
import sys

import numpy as np


def tensors(path):
    with open(path, "rb") as f:
        n = struct.unpack("<Q", f.read(8))[0]
        head = json.loads(f.read(n))
        body = f.read()
    out = {}
    for name, t in head.items():
        if name == "__metadata__":
            continue
        assert t["dtype"] == "F32", t["dtype"]
        lo, hi = t["data_offsets"]
        out[name] = np.frombuffer(body[lo:hi], "<f4").reshape(t["shape"]).astype(np.float64)
    return out


def norm(x, gain, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * gain


def rotate(x, theta):
    """x (heads, tokens, width); the halves of a head rotate, as Hugging Face lays it out."""
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[1])[:, None] * theta ** (-np.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], -1)


def losses(c, w, ids):
    """Nats of each token after the first."""
    heads, groups = c["num_attention_heads"], c["num_key_value_heads"]
    width = c["hidden_size"] // heads
    theta, eps, t = c.get("rope_theta", 10000.0), c["rms_norm_eps"], len(ids) - 1
    x = w["model.embed_tokens.weight"][ids[:-1]]
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        h = norm(x, w[p + "input_layernorm.weight"], eps)

        def split(name, n):
            return (h @ w[p + f"self_attn.{name}.weight"].T).reshape(t, n, width).transpose(1, 0, 2)

        q, k, v = rotate(split("q_proj", heads), theta), rotate(split("k_proj", groups), theta), split("v_proj", groups)
        k, v = np.repeat(k, heads // groups, 0), np.repeat(v, heads // groups, 0)
        s = q @ k.transpose(0, 2, 1) / np.sqrt(width) + np.triu(np.full((t, t), -np.inf), 1)
        s = np.exp(s - s.max(-1, keepdims=True))
        o = (s / s.sum(-1, keepdims=True)) @ v
        x = x + o.transpose(1, 0, 2).reshape(t, -1) @ w[p + "self_attn.o_proj.weight"].T
        h = norm(x, w[p + "post_attention_layernorm.weight"], eps)
        g = h @ w[p + "mlp.gate_proj.weight"].T
        x = x + (g / (1 + np.exp(-g)) * (h @ w[p + "mlp.up_proj.weight"].T)) @ w[p + "mlp.down_proj.weight"].T
    head = w["model.embed_tokens.weight"] if c.get("tie_word_embeddings") else w["lm_head.weight"]
    z = norm(x, w["model.norm.weight"], eps) @ head.T
    z -= z.max(-1, keepdims=True)
    return np.log(np.exp(z).sum(-1)) - z[np.arange(t), ids[1:]]


def main():
    model, ids = sys.argv[1], json.load(open(sys.argv[2]))
    c, w = json.load(open(model + "/config.json")), tensors(model + "/model.safetensors")
    context = c["max_position_embeddings"]
    total, count = 0.0, 0
    for d in ids:
        for at in range(0, len(d) - 1, context):
            l = losses(c, w, np.array(d[at : at + context + 1]))
            total, count = total + l.sum(), count + len(l)
    print(json.dumps({"loss": total / count, "tokens": count}))


main()

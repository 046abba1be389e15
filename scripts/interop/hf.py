"""Logits of a Hugging Face directory, recomputed in PyTorch from the files alone.

    hf.py check DIR L.json [BOUND]   compare with what `ecospa export --logits L.json` wrote
    hf.py logits DIR L.json          compute logits for the input of L.json and write them there

Written from the formats' descriptions: safetensors' README, and transformers'
modeling_llama.py, modeling_gpt2.py, modeling_vit.py and modeling_rope_utils.py (4.46; names and
rope_parameters of 5.0). It needs torch and numpy, neither transformers nor safetensors. `check`
prints one JSON object and exits with 1 when a logit differs by more than BOUND (default 1e-4) of
the largest.
"""
import json
import math
import os
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F


def read_safetensors(path):
    with open(path, "rb") as f:
        (n,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(n))
        data = f.read()
    out = {}
    for name, t in header.items():
        if name == "__metadata__":
            continue
        lo, hi = t["data_offsets"]
        raw = np.frombuffer(data[lo:hi], dtype={"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[t["dtype"]])
        if t["dtype"] == "BF16":
            raw = (raw.astype(np.uint32) << 16).view(np.float32)
        out[name] = torch.tensor(raw.astype(np.float32)).reshape(t["shape"])
    return out


def read_directory(directory):
    """config.json, and the tensors of model.safetensors or of the files of its index."""
    c = json.load(open(os.path.join(directory, "config.json")))
    index = os.path.join(directory, "model.safetensors.index.json")
    if not os.path.exists(index):
        return c, read_safetensors(os.path.join(directory, "model.safetensors"))
    w, where = {}, json.load(open(index))["weight_map"]
    for name in sorted(set(where.values())):
        w.update(read_safetensors(os.path.join(directory, name)))
    assert w.keys() == where.keys()
    return c, w


def attend(q, k, v, scale):
    """q, k, v: [heads, T, d]; causal."""
    T = q.shape[1]
    mask = torch.full((T, T), float("-inf")).triu(1)
    return torch.softmax(q @ k.transpose(1, 2) * scale + mask, -1) @ v


def inverse_frequencies(c, head_dim):
    """_compute_default_rope_parameters and its like in modeling_rope_utils.py."""
    s = c.get("rope_parameters") or c.get("rope_scaling") or {}  # transformers 5, 4
    base = s.get("rope_theta", c.get("rope_theta", 10000.0))
    inv = 1.0 / base ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    kind = s.get("rope_type", s.get("type", "default"))
    if kind == "default":
        return inv
    if kind == "linear":
        return inv / s["factor"]
    if kind == "longrope":  # short and long are the same here, attention_factor is 1
        assert s["short_factor"] == s["long_factor"] and s["attention_factor"] == 1.0
        return 1.0 / (torch.tensor(s["short_factor"]) * base ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim))
    if kind == "llama3":
        factor, low, high, old = s["factor"], s["low_freq_factor"], s["high_freq_factor"], s["original_max_position_embeddings"]
        length = 2 * math.pi / inv
        out = torch.where(length > old / low, inv / factor, inv)
        smooth = (old / length - low) / (high - low)
        middle = (length <= old / low) & (length >= old / high)
        return torch.where(middle, (1 - smooth) * inv / factor + smooth * inv, out)
    raise SystemExit(f"rope_type {kind}")


def llama(c, w, ids):
    heads, kv = c["num_attention_heads"], c.get("num_key_value_heads") or c["num_attention_heads"]
    assert c["hidden_size"] % heads == 0, "transformers 5 refuses it"
    d = c.get("head_dim") or c["hidden_size"] // heads
    angles = torch.arange(len(ids), dtype=torch.float32)[:, None] * inverse_frequencies(c, d)[None]
    cos, sin = torch.cat([angles.cos()] * 2, -1), torch.cat([angles.sin()] * 2, -1)

    def rotate(x):
        half = torch.cat([-x[..., d // 2:], x[..., : d // 2]], -1)
        return x * cos + half * sin

    def norm(x, g):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + c["rms_norm_eps"]) * g

    x = w["model.embed_tokens.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        lin = lambda h, name: F.linear(h, w[p + name + ".weight"], w.get(p + name + ".bias"))
        split = lambda h, n: h.reshape(len(ids), n, d).transpose(0, 1)
        h = norm(x, w[p + "input_layernorm.weight"])
        q, k = rotate(split(lin(h, "self_attn.q_proj"), heads)), rotate(split(lin(h, "self_attn.k_proj"), kv))
        v = split(lin(h, "self_attn.v_proj"), kv)
        k, v = k.repeat_interleave(heads // kv, 0), v.repeat_interleave(heads // kv, 0)
        a = attend(q, k, v, d ** -0.5).transpose(0, 1).reshape(len(ids), heads * d)
        x = x + lin(a, "self_attn.o_proj")
        h = norm(x, w[p + "post_attention_layernorm.weight"])
        x = x + lin(F.silu(lin(h, "mlp.gate_proj")) * lin(h, "mlp.up_proj"), "mlp.down_proj")
    head = w["model.embed_tokens.weight"] if c.get("tie_word_embeddings") else w["lm_head.weight"]
    return norm(x, w["model.norm.weight"]) @ head.T


def gpt2(c, w, ids):
    E, heads = c["n_embd"], c["n_head"]
    if "wte.weight" in w:  # saved from the bare model
        w = {"transformer." + k: v for k, v in w.items()}
    norm = lambda x, p: F.layer_norm(x, (E,), w[p + ".weight"], w[p + ".bias"], c["layer_norm_epsilon"])
    conv = lambda x, p: x @ w[p + ".weight"] + w[p + ".bias"]
    x = w["transformer.wte.weight"][ids] + w["transformer.wpe.weight"][: len(ids)]
    for i in range(c["n_layer"]):
        p = f"transformer.h.{i}."
        q, k, v = (t.reshape(len(ids), heads, E // heads).transpose(0, 1) for t in conv(norm(x, p + "ln_1"), p + "attn.c_attn").split(E, -1))
        x = x + conv(attend(q, k, v, (E // heads) ** -0.5).transpose(0, 1).reshape(len(ids), E), p + "attn.c_proj")
        h = conv(norm(x, p + "ln_2"), p + "mlp.c_fc")
        exact = c["activation_function"] == "gelu"
        h = F.gelu(h) if exact else 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h ** 3)))
        x = x + conv(h, p + "mlp.c_proj")
    return norm(x, "transformer.ln_f") @ w["transformer.wte.weight"].T


# What transformers 5 calls the tensors of a layer of vit and deit.
NEW_NAMES = {
    "encoder.layer.": "layers.", "attention.attention.query.": "attention.q_proj.", "attention.attention.key.": "attention.k_proj.",
    "attention.attention.value.": "attention.v_proj.", "attention.output.dense.": "attention.o_proj.", "intermediate.dense.": "mlp.fc1.",
    "output.dense.": "mlp.fc2.",
}


def new_names(w):
    def rename(name):
        for old, new in NEW_NAMES.items():
            name = name.replace(old, new)
        return name

    return {rename(name): t for name, t in w.items()}


def old_names(w):
    def rename(name):
        for old, new in NEW_NAMES.items():
            name = name.replace("." + new, "." + old)
        return name

    return {rename(name): t for name, t in w.items()}


def vit(c, w, pixels):
    """modeling_vit.py and modeling_deit.py with an image classifier."""
    w = old_names(w)
    E, heads = c["hidden_size"], c["num_attention_heads"]
    p = "" if "embeddings.cls_token" in w else c["model_type"] + "."  # saved from the bare model, or with its classifier
    lin = lambda x, name: F.linear(x, w[name + ".weight"], w.get(name + ".bias"))
    norm = lambda x, name: F.layer_norm(x, (E,), w[name + ".weight"], w[name + ".bias"], c["layer_norm_eps"])
    x = F.conv2d(pixels, w[p + "embeddings.patch_embeddings.projection.weight"], w[p + "embeddings.patch_embeddings.projection.bias"], stride=c["patch_size"])
    x = x.flatten(2).transpose(1, 2)
    front = [w[p + "embeddings." + t] for t in ("cls_token", "distillation_token") if p + "embeddings." + t in w]
    x = torch.cat([t.expand(len(x), -1, -1) for t in front] + [x], 1) + w[p + "embeddings.position_embeddings"]
    for i in range(c["num_hidden_layers"]):
        n = f"{p}encoder.layer.{i}."
        # A model that ecospa has pruned keeps fewer heads, and fewer columns of each.
        left = c["ecospa"]["layers"][i]["kv"] if "ecospa" in c else heads
        split = lambda t: t.reshape(*t.shape[:2], left, t.shape[2] // left).transpose(1, 2)
        h = norm(x, n + "layernorm_before")
        q, k, v = (split(lin(h, n + "attention.attention." + t)) for t in ("query", "key", "value"))
        a = torch.softmax(q @ k.transpose(2, 3) * (E // heads) ** -0.5, -1) @ v
        x = x + lin(a.transpose(1, 2).flatten(2), n + "attention.output.dense")
        h = lin(norm(x, n + "layernorm_after"), n + "intermediate.dense")
        x = x + lin(F.gelu(h, approximate="none" if c["hidden_act"] == "gelu" else "tanh"), n + "output.dense")
    x = norm(x, p + "layernorm")
    if "cls_classifier.weight" in w:
        return (lin(x[:, 0], "cls_classifier") + lin(x[:, 1], "distillation_classifier")) / 2
    return lin(x[:, 0], "classifier")


def logits(directory, probe):
    c, w = read_directory(directory)
    if "pixels" in probe:
        return vit(c, w, torch.tensor(probe["pixels"]).reshape(probe["shape"]))
    return {"llama": llama, "gpt2": gpt2}[c["model_type"]](c, w, torch.tensor(probe["ids"]))


def difference(got, probe):
    """The largest difference of a logit, over the largest logit."""
    expected = torch.tensor(probe["logits"]).reshape(got.shape)
    return float((got - expected).abs().max() / expected.abs().max())


def main():
    torch.set_grad_enabled(False)
    torch.set_num_threads(2)
    command, *args = sys.argv[1:]
    directory, path = args[:2]
    want = json.load(open(path))
    got = logits(directory, want)
    if command == "logits":
        json.dump({**want, "logits": got.flatten().tolist()}, open(path, "w"))
        return
    relative = difference(got, want)
    print(json.dumps({"directory": directory, "logits": got.numel(), "relative": relative}))
    sys.exit(0 if relative <= float(args[2] if len(args) > 2 else "1e-4") else 1)


if __name__ == "__main__":
    main()

"""Logits of a Hugging Face directory, recomputed in PyTorch from the files alone.

    hf.py check DIR L.json [BOUND]   compare with what `ecospa export --logits L.json` wrote
    hf.py make llama|gpt2|vit|deit|vit-pruned DIR
                                           write a random model as transformers would
    hf.py logits DIR L.json          compute logits for the input of L.json and write them there

Written from the formats' descriptions: safetensors' README, and transformers'
modeling_llama.py, modeling_gpt2.py, modeling_vit.py and modeling_rope_utils.py (4.46). It needs
torch and numpy, neither transformers nor safetensors. `check` prints one JSON
object and exits with 1 when a logit differs by more than BOUND (default 1e-4) of
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


def write_safetensors(path, tensors):
    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, t in tensors.items():
        blob = t.numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def attend(q, k, v, scale):
    """q, k, v: [heads, T, d]; causal."""
    T = q.shape[1]
    mask = torch.full((T, T), float("-inf")).triu(1)
    return torch.softmax(q @ k.transpose(1, 2) * scale + mask, -1) @ v


def inverse_frequencies(c, head_dim):
    """_compute_default_rope_parameters and its like in modeling_rope_utils.py."""
    base = c.get("rope_theta", 10000.0)
    inv = 1.0 / base ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    s = c.get("rope_scaling") or {}
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
    head = w["model.embed_tokens.weight"] if c["tie_word_embeddings"] else w["lm_head.weight"]
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
        h = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h ** 3)))
        x = x + conv(h, p + "mlp.c_proj")
    return norm(x, "transformer.ln_f") @ w["transformer.wte.weight"].T


def vit(c, w, pixels):
    """modeling_vit.py and modeling_deit.py with an image classifier."""
    E, heads, p = c["hidden_size"], c["num_attention_heads"], c["model_type"] + "."
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
    c = json.load(open(os.path.join(directory, "config.json")))
    w = read_safetensors(os.path.join(directory, "model.safetensors"))
    if "pixels" in probe:
        return vit(c, w, torch.tensor(probe["pixels"]).reshape(probe["shape"]))
    return {"llama": llama, "gpt2": gpt2}[c["model_type"]](c, w, torch.tensor(probe["ids"]))


def make(family, directory):
    torch.manual_seed(3)
    rand = lambda *shape: 0.2 * torch.randn(*shape)
    gain = lambda n: 1 + 0.1 * torch.randn(n)
    w, V, E, L = {}, 256, 48, 2
    if family == "llama":
        H, G, D, I = 6, 2, 8, 72
        c = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": V, "hidden_size": E, "intermediate_size": I,
             "num_hidden_layers": L, "num_attention_heads": H, "num_key_value_heads": G, "head_dim": D, "hidden_act": "silu",
             "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False,
             "attention_bias": True, "mlp_bias": False, "rope_scaling": {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0,
             "high_freq_factor": 4.0, "original_max_position_embeddings": 64}, "torch_dtype": "float32"}
        w["model.embed_tokens.weight"], w["lm_head.weight"], w["model.norm.weight"] = rand(V, E), rand(V, E), gain(E)
        for i in range(L):
            p = f"model.layers.{i}."
            for name, out, of in [("self_attn.q_proj", H * D, E), ("self_attn.k_proj", G * D, E), ("self_attn.v_proj", G * D, E), ("self_attn.o_proj", E, H * D)]:
                w[p + name + ".weight"], w[p + name + ".bias"] = rand(out, of), rand(out)
            for name, out, of in [("mlp.gate_proj", I, E), ("mlp.up_proj", I, E), ("mlp.down_proj", E, I)]:
                w[p + name + ".weight"] = rand(out, of)
            w[p + "input_layernorm.weight"], w[p + "post_attention_layernorm.weight"] = gain(E), gain(E)
    elif family in ("vit", "deit", "vit-pruned"):
        widths = [(4, 12, 12, 80)] * L  # heads, columns of q and k, of v, of the feed-forward network
        pruned = family == "vit-pruned"
        if pruned:
            family, widths = "vit", [(3, 5, 7, 33), (4, 9, 2, 61)]
        I, p = 80, family + "."
        arch = {"vit": "ViTForImageClassification", "deit": "DeiTForImageClassificationWithTeacher"}[family]
        c = {"architectures": [arch], "model_type": family, "hidden_size": E, "intermediate_size": I, "num_hidden_layers": L,
             "num_attention_heads": 4, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "image_size": 16, "patch_size": 4, "num_channels": 3,
             "qkv_bias": True, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
             "id2label": {str(i): f"class {i}" for i in range(7)}, "label2id": {f"class {i}": i for i in range(7)}}
        e = p + "embeddings."
        w[e + "cls_token"], w[e + "position_embeddings"] = rand(1, 1, E), rand(1, 17 if family == "vit" else 18, E)
        w[e + "patch_embeddings.projection.weight"], w[e + "patch_embeddings.projection.bias"] = rand(E, 3, 4, 4), rand(E)
        heads = ["classifier"]
        if family == "deit":
            w[e + "distillation_token"], heads = rand(1, 1, E), ["cls_classifier", "distillation_classifier"]
        for name in heads:
            w[name + ".weight"], w[name + ".bias"] = rand(7, E), rand(7)
        for n in ["layernorm"] + [f"encoder.layer.{i}.layernorm_{t}" for i in range(L) for t in ("before", "after")]:
            w[p + n + ".weight"], w[p + n + ".bias"] = gain(E), rand(E)
        if pruned:
            c["ecospa"] = {"head_dim": 12, "dense_params": 0, "layers": [{"kv": h, "qk": q, "vo": v, "ffn": f} for h, q, v, f in widths]}
        for i, (h, q, v, f) in enumerate(widths):
            for name, out, of in [("attention.attention.query", h * q, E), ("attention.attention.key", h * q, E), ("attention.attention.value", h * v, E),
                                  ("attention.output.dense", E, h * v), ("intermediate.dense", f, E), ("output.dense", E, f)]:
                w[f"{p}encoder.layer.{i}.{name}.weight"], w[f"{p}encoder.layer.{i}.{name}.bias"] = rand(out, of), rand(out)
    else:
        c = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": V, "n_positions": 128, "n_ctx": 128, "n_embd": E,
             "n_layer": L, "n_head": 4, "n_inner": None, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
             "bos_token_id": 255, "eos_token_id": 255, "attn_pdrop": 0.1, "embd_pdrop": 0.1, "resid_pdrop": 0.1}
        w["wte.weight"], w["wpe.weight"], w["ln_f.weight"], w["ln_f.bias"] = rand(V, E), rand(128, E), gain(E), rand(E)
        for i in range(L):
            p = f"h.{i}."
            for name, of, out in [("attn.c_attn", E, 3 * E), ("attn.c_proj", E, E), ("mlp.c_fc", E, 4 * E), ("mlp.c_proj", 4 * E, E)]:
                w[p + name + ".weight"], w[p + name + ".bias"] = rand(of, out), rand(out)
            for name in ("ln_1", "ln_2"):
                w[p + name + ".weight"], w[p + name + ".bias"] = gain(E), rand(E)
            w[p + "attn.bias"] = torch.ones(1, 1, 128, 128).tril()  # a mask, as old files carry it
    os.makedirs(directory)
    json.dump(c, open(os.path.join(directory, "config.json"), "w"), indent=2)
    write_safetensors(os.path.join(directory, "model.safetensors"), w)


def main():
    torch.set_grad_enabled(False)
    torch.set_num_threads(2)
    command, *args = sys.argv[1:]
    if command == "make":
        return make(*args)
    directory, path = args[:2]
    want = json.load(open(path))
    got = logits(directory, want)
    if command == "logits":
        json.dump({**want, "logits": got.flatten().tolist()}, open(path, "w"))
        return
    expected = torch.tensor(want["logits"]).reshape(got.shape)
    relative = float((got - expected).abs().max() / expected.abs().max())
    print(json.dumps({"directory": directory, "logits": got.numel(), "relative": relative}))
    sys.exit(0 if relative <= float(args[2] if len(args) > 2 else "1e-4") else 1)


main()

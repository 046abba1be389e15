"""Writes random models as transformers would, without transformers.

    make.py CASE DIR [DTYPE] [SHARDS]   DTYPE is F32 (default), F16 or BF16; SHARDS 1 is a file, more an index

The cases are below: what files in the wild look like, one property or the other. Models of text
get a tokenizer whose ids are the bytes, but for Llama 2's vocabulary. Numbers are rounded to DTYPE, to nearest even.
"""
import json
import os
import struct
import sys

import torch

import hf

V, E, L = 256, 48, 2  # vocabulary, width, layers


def stored(t, dtype):
    """The bytes of a tensor."""
    if dtype == "BF16":
        return t.contiguous().to(torch.bfloat16).view(torch.int16).numpy().astype("<i2").tobytes()
    return t.contiguous().numpy().astype({"F32": "<f4", "F16": "<f2"}[dtype]).tobytes()


def write_safetensors(path, tensors, dtype="F32"):
    header, at, width = {"__metadata__": {"format": "pt"}}, 0, {"F32": 4, "F16": 2, "BF16": 2}[dtype]
    for name, t in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(t.shape), "data_offsets": [at, at + width * t.numel()]}
        at += width * t.numel()
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            f.write(stored(t, dtype))


def byte_tokenizer():
    """A tokenizer.json whose ids are the bytes, in GPT-2's letters (encoder.py, bytes_to_unicode)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    vocab, others = {}, 0
    for b in range(256):
        vocab[chr(b) if b in plain else chr(256 + others)] = b
        others += b not in plain
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": level, "post_processor": None,
            "decoder": level, "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                                        "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": []}}


def write_directory(directory, config, tensors, dtype, shards):
    os.makedirs(directory)
    if config.get("vocab_size") in (V, 8192):
        json.dump(byte_tokenizer(), open(os.path.join(directory, "tokenizer.json"), "w"))
    config["torch_dtype"] = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[dtype]
    json.dump(config, open(os.path.join(directory, "config.json"), "w"), indent=2)
    if shards == 1:
        return write_safetensors(os.path.join(directory, "model.safetensors"), tensors, dtype)
    where, names = {}, list(tensors)
    for i in range(shards):
        part = names[i * len(names) // shards:(i + 1) * len(names) // shards]
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        write_safetensors(os.path.join(directory, file), {n: tensors[n] for n in part}, dtype)
        where.update({n: file for n in part})
    index = {"metadata": {"total_size": sum(t.numel() for t in tensors.values())}, "weight_map": where}
    json.dump(index, open(os.path.join(directory, "model.safetensors.index.json"), "w"), indent=2)


def rand(*shape):
    return 0.2 * torch.randn(*shape)


def gain(n):
    return 1 + 0.1 * torch.randn(n)


LLAMA3 = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}


def llama(kv=2, head_dim=8, tied=False, bias=False, mlp_bias=False, buffers=False, vocab=V, width=E, layers=L, heads=6, ffn=72, config=None, drop=()):
    c = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocab, "hidden_size": width, "intermediate_size": ffn,
         "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": head_dim, "hidden_act": "silu",
         "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": tied,
         "attention_bias": bias, "mlp_bias": mlp_bias, "pretraining_tp": 1, "use_cache": True, **(config or {})}
    for key in drop:
        del c[key]
    w = {"model.embed_tokens.weight": rand(vocab, width), "model.norm.weight": gain(width)}
    if not tied:
        w["lm_head.weight"] = rand(vocab, width)
    for i in range(layers):
        p = f"model.layers.{i}."
        for name, out, of in [("q", heads * head_dim, width), ("k", kv * head_dim, width), ("v", kv * head_dim, width), ("o", width, heads * head_dim)]:
            w[p + f"self_attn.{name}_proj.weight"] = rand(out, of)
            if bias:
                w[p + f"self_attn.{name}_proj.bias"] = rand(out)
        for name, out, of in [("gate", ffn, width), ("up", ffn, width), ("down", width, ffn)]:
            w[p + f"mlp.{name}_proj.weight"] = rand(out, of)
            if mlp_bias:
                w[p + f"mlp.{name}_proj.bias"] = rand(out)
        w[p + "input_layernorm.weight"], w[p + "post_attention_layernorm.weight"] = gain(width), gain(width)
        if buffers:  # frequencies, as old files carry them
            w[p + "self_attn.rotary_emb.inv_freq"] = hf.inverse_frequencies(c, head_dim)
    return c, w


def gpt2(prefix="", buffers=False, head=False, **config):
    c = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": V, "n_positions": 128, "n_ctx": 128, "n_embd": E,
         "n_layer": L, "n_head": 4, "n_inner": None, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
         "bos_token_id": 255, "eos_token_id": 255, "attn_pdrop": 0.1, "embd_pdrop": 0.1, "resid_pdrop": 0.1, **config}
    inner = c["n_inner"] or 4 * E
    w = {"wte.weight": rand(V, E), "wpe.weight": rand(128, E), "ln_f.weight": gain(E), "ln_f.bias": rand(E)}
    for i in range(L):
        p = f"h.{i}."
        for name, of, out in [("attn.c_attn", E, 3 * E), ("attn.c_proj", E, E), ("mlp.c_fc", E, inner), ("mlp.c_proj", inner, E)]:
            w[p + name + ".weight"], w[p + name + ".bias"] = rand(of, out), rand(out)
        for name in ("ln_1", "ln_2"):
            w[p + name + ".weight"], w[p + name + ".bias"] = gain(E), rand(E)
        if buffers:  # masks, as old files carry them
            w[p + "attn.bias"], w[p + "attn.masked_bias"] = torch.ones(1, 1, 128, 128).tril(), torch.tensor(-1e4)
    w = {prefix + name: t for name, t in w.items()}
    if head:  # the tied head, which some writers store again
        w["lm_head.weight"] = w[prefix + "wte.weight"]
    return c, w


def vision(family, teacher=False, new=False, pooler=False, pruned=None, **config):
    heads, inner = 4, 80
    widths = pruned or [(heads, E // heads, E // heads, inner)] * L  # heads, columns of q and k, of v, of the feed-forward network
    arch = {"vit": "ViTForImageClassification", "deit": "DeiTForImageClassification"}[family] + ("WithTeacher" if teacher else "")
    c = {"architectures": [arch], "model_type": family, "hidden_size": E, "intermediate_size": inner, "num_hidden_layers": L,
         "num_attention_heads": heads, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "image_size": 16, "patch_size": 4, "num_channels": 3,
         "qkv_bias": True, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
         "id2label": {str(i): f"class {i}" for i in range(7)}, "label2id": {f"class {i}": i for i in range(7)}, **config}
    p, w = family + ".", {}
    e = p + "embeddings."
    w[e + "cls_token"], w[e + "position_embeddings"] = rand(1, 1, E), rand(1, 17 if family == "vit" else 18, E)
    w[e + "patch_embeddings.projection.weight"], w[e + "patch_embeddings.projection.bias"] = rand(E, 3, 4, 4), rand(E)
    if family == "deit":
        w[e + "distillation_token"] = rand(1, 1, E)
    for name in ["cls_classifier", "distillation_classifier"] if teacher else ["classifier"]:
        w[name + ".weight"], w[name + ".bias"] = rand(7, E), rand(7)
    for n in ["layernorm"] + [f"encoder.layer.{i}.layernorm_{t}" for i in range(L) for t in ("before", "after")]:
        w[p + n + ".weight"], w[p + n + ".bias"] = gain(E), rand(E)
    if pruned:
        c["ecospa"] = {"head_dim": E // heads, "dense_params": 0, "layers": [{"kv": h, "qk": q, "vo": v, "ffn": f} for h, q, v, f in pruned]}
    for i, (h, q, v, f) in enumerate(widths):
        for name, out, of in [("attention.attention.query", h * q, E), ("attention.attention.key", h * q, E), ("attention.attention.value", h * v, E),
                              ("attention.output.dense", E, h * v), ("intermediate.dense", f, E), ("output.dense", E, f)]:
            n = f"{p}encoder.layer.{i}.{name}"
            w[n + ".weight"] = rand(out, of)
            if c["qkv_bias"] or "attention.attention" not in name:
                w[n + ".bias"] = rand(out)
    if pooler:
        w[p + "pooler.dense.weight"], w[p + "pooler.dense.bias"] = rand(E, E), rand(E)
    return c, hf.new_names(w) if new else w


def bare(c, w):
    return c, {name.removeprefix(c["model_type"] + "."): t for name, t in w.items()}


CASES = {
    "llama": lambda: llama(bias=True, config={"rope_scaling": LLAMA3}),
    "llama-tied": lambda: llama(tied=True, config={"rope_scaling": None}, drop=["head_dim", "attention_bias", "mlp_bias"]),
    "llama-heads": lambda: llama(kv=6, drop=["num_key_value_heads", "head_dim"], buffers=True),
    "llama-wide-heads": lambda: llama(kv=3, head_dim=16, mlp_bias=True),
    "llama-biases": lambda: llama(bias=True, mlp_bias=True, tied=True),
    "llama-linear": lambda: llama(config={"rope_scaling": {"type": "linear", "factor": 2.0}}),
    "llama-linear-4": lambda: llama(config={"rope_scaling": {"rope_type": "linear", "factor": 3.0}, "rope_theta": 500.0}),
    "llama-linear-5": lambda: llama(config={"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 700.0}}, drop=["rope_theta"]),
    "llama-llama3-5": lambda: llama(tied=True, config={"rope_parameters": {**LLAMA3, "rope_theta": 500000.0}}, drop=["rope_theta"]),
    "llama-theta-5": lambda: llama(config={"rope_parameters": {"rope_type": "default", "rope_theta": 300.0}}, drop=["rope_theta"]),
    "gpt2": lambda: gpt2(buffers=True),
    "gpt2-prefix": lambda: gpt2("transformer.", n_inner=100),
    "gpt2-prefix-old": lambda: gpt2("transformer.", buffers=True, head=True, activation_function="gelu"),
    "vit": lambda: vision("vit"),
    "vit-old": lambda: vision("vit", pooler=True, qkv_bias=False, hidden_act="gelu_new"),
    "vit-bare": lambda: bare(*vision("vit")),
    "vit-new": lambda: vision("vit", new=True),
    "vit-pruned": lambda: vision("vit", pruned=[(3, 5, 7, 33), (4, 9, 2, 61)]),
    "deit": lambda: vision("deit", teacher=True),
    "deit-one": lambda: vision("deit"),
    "deit-new": lambda: vision("deit", teacher=True, new=True),
    # Llama 2's vocabulary: give the directory a tokenizer.model.
    "llama-32000": lambda: llama(tied=True, vocab=32000, width=32, heads=4, head_dim=8, ffn=48, config={"bos_token_id": 1, "eos_token_id": 2}),
    # About 400 MB in F32, to weigh what loading takes.
    "large": lambda: llama(kv=8, head_dim=64, vocab=8192, width=1024, layers=8, heads=16, ffn=2816),
}


def make(case, directory, dtype="F32", shards=1):
    torch.manual_seed(3)
    config, tensors = CASES[case]()
    write_directory(directory, config, tensors, dtype, int(shards))


if __name__ == "__main__":
    make(*sys.argv[1:])

#!/usr/bin/env python3
"""Writes a model of a published one's shapes, with random weights in bfloat16.

usage: full_sizes.py NAME DIR

Nothing of the published model is in it but the numbers of its config.json; its tokenizer
is that of the 256 bytes. Prints the architecture's name in GGUF.
"""
import json
import os
import struct
import sys

import numpy as np

LLAMA = {"hidden_act": "silu", "rms_norm_eps": 1e-5, "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True, "torch_dtype": "bfloat16"}


def llama(family, hidden, ffn, layers, heads, kv, vocab, **more):
    cls = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM", "gemma3_text": "Gemma3ForCausalLM"}[family]
    return {"architectures": [cls], "model_type": family, "hidden_size": hidden, "intermediate_size": ffn, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": kv, "vocab_size": vocab, "eos_token_id": None, "bos_token_id": None, **LLAMA, **more}


SIZES = {
    "smollm2-135m": ("llama", llama("llama", 576, 1536, 30, 9, 3, 49152, max_position_embeddings=8192, rope_theta=100000.0)),
    "qwen3-0.6b": ("qwen3", llama("qwen3", 1024, 3072, 28, 16, 8, 151936, head_dim=128, max_position_embeddings=40960, rope_theta=1e6, rms_norm_eps=1e-6)),
    "qwen2.5-0.5b": ("qwen2", llama("qwen2", 896, 4864, 24, 14, 2, 151936, max_position_embeddings=32768, rope_theta=1e6, rms_norm_eps=1e-6)),
    "llama-3.2-1b": ("llama", llama("llama", 2048, 8192, 16, 32, 8, 128256, head_dim=64, max_position_embeddings=131072, rope_theta=500000.0,
                     rope_scaling={"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})),
    "gemma-3-270m": ("gemma3", llama("gemma3_text", 640, 2048, 18, 4, 1, 262144, head_dim=256, max_position_embeddings=32768, rope_theta=1e6, rms_norm_eps=1e-6,
                     rope_local_base_freq=10000.0, sliding_window=512, query_pre_attn_scalar=256, hidden_activation="gelu_pytorch_tanh",
                     layer_types=["full_attention" if i % 6 == 5 else "sliding_attention" for i in range(18)])),
}


def shapes(c):
    f, e, d = c["model_type"], c["hidden_size"], c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
    q, k, n = c["num_attention_heads"] * d, c["num_key_value_heads"] * d, c["intermediate_size"]
    yield "model.embed_tokens.weight", (c["vocab_size"], e)
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        for name, out, of in (("q", q, e), ("k", k, e), ("v", k, e), ("o", e, q)):
            yield p + f"self_attn.{name}_proj.weight", (out, of)
            if f == "qwen2" and name != "o":
                yield p + f"self_attn.{name}_proj.bias", (out,)
        for name, out, of in (("gate", n, e), ("up", n, e), ("down", e, n)):
            yield p + f"mlp.{name}_proj.weight", (out, of)
        norms = ["input_layernorm", "post_attention_layernorm"]
        if f == "gemma3_text":
            norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
        for norm in norms:
            yield p + norm + ".weight", (e,)
        if f in ("qwen3", "gemma3_text"):
            yield p + "self_attn.q_norm.weight", (d,)
            yield p + "self_attn.k_norm.weight", (d,)
    yield "model.norm.weight", (e,)


def main():
    arch, c = SIZES[sys.argv[1]]
    out = sys.argv[2]
    os.makedirs(out, exist_ok=True)
    json.dump(c, open(out + "/config.json", "w"), indent=1)
    plain, vocab, others = [*range(33, 127), *range(161, 173), *range(174, 256)], {}, 0
    for b in range(256):
        vocab[chr(b) if b in plain else chr(256 + others)] = b
        others += b not in plain
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    json.dump({"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": level, "post_processor": None, "decoder": level,
               "model": {"type": "BPE", "vocab": vocab, "merges": []}}, open(out + "/tokenizer.json", "w"))
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes(c):
        n = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(1)
    with open(out + "/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes(c):
            if "norm" in name:  # Gemma's gain is 1 + w
                w = np.full(shape, 0.0 if c["model_type"] == "gemma3_text" else 1.0, np.float32)
            else:
                w = rng.standard_normal(shape, np.float32) * np.float32(0.02)
            f.write((w.view(np.uint32) >> 16).astype("<u2").tobytes())
    print(arch)


main()

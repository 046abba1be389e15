#!/usr/bin/env python3
"""Golden numbers of llama and qwen3 with YaRN (https://arxiv.org/abs/2309.00071): pairs that turn often within the original context keep their frequency, those that turn
seldom are divided by the factor, and what turns is multiplied by 0.1 ln(factor) + 1. The bounds and the ramp are written as the paper's authors publish them.

    /usr/bin/python3 scripts/golden_yarn.py testdata/golden
"""
import math, sys
import torch
import torch.nn.functional as F
from golden import case
from golden_decoder import attention, frequencies, heads, linear, llama_shapes, merge, rms_norm, rotate

v, e, f, layers, h, g, d = 19, 12, 18, 2, 2, 1, 16


def yarn(theta, s):
    """The frequencies of the d/2 pairs and the gain."""
    original, factor = s["original_max_position_embeddings"], s["factor"]

    def dimension(rotations):
        return (d * math.log(original / (rotations * 2 * math.pi))) / (2 * math.log(theta))

    low, high = dimension(s.get("beta_fast", 32)), dimension(s.get("beta_slow", 1))
    if s.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, d - 1)
    ramp = torch.clamp((torch.arange(d // 2, dtype=torch.float64) - low) / (high - low), 0, 1)
    w = frequencies(theta, d)
    gain = s.get("attention_factor") or 0.1 * math.log(factor) + 1
    if "mscale" in s:
        gain = (0.1 * s["mscale"] * math.log(factor) + 1) / (0.1 * s["mscale_all_dim"] * math.log(factor) + 1)
    return w / factor * ramp + w * (1 - ramp), gain


def forward(c, p, ids):
    lin, norm = linear(p), rms_norm(c, p)
    w, gain = yarn(c["rope_theta"], c["rope_scaling"])
    x = p["model.embed_tokens.weight"][ids]
    for i in range(layers):
        l = f"model.layers.{i}."
        y = norm(x, l + "input_layernorm")
        q, k, u = heads(lin(y, l + "self_attn.q_proj"), h), heads(lin(y, l + "self_attn.k_proj"), g), heads(lin(y, l + "self_attn.v_proj"), g)
        q, k = gain * rotate(q, w), gain * rotate(k, w)
        x = x + lin(merge(attention(q, k, u, 1 / math.sqrt(d))), l + "self_attn.o_proj")
        y = norm(x, l + "post_attention_layernorm")
        x = x + lin(F.silu(lin(y, l + "mlp.gate_proj")) * lin(y, l + "mlp.up_proj"), l + "mlp.down_proj")
    return norm(x, "model.norm") @ p["lm_head.weight"].T


config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": v, "hidden_size": e, "intermediate_size": f, "num_hidden_layers": layers, "num_attention_heads": h,
          "num_key_value_heads": g, "head_dim": d, "hidden_act": "silu", "max_position_embeddings": 16384, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False,
          "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}}
case(sys.argv[1], "llama-yarn", config, llama_shapes(v, e, f, layers, h, g, d), forward, v)
other = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 2048, "beta_fast": 16.0, "beta_slow": 2.0, "truncate": False, "mscale": 1.4, "mscale_all_dim": 0.7}
case(sys.argv[1], "llama-yarn-bounds", config | {"rope_scaling": other}, llama_shapes(v, e, f, layers, h, g, d), forward, v)

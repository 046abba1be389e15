#!/usr/bin/env python3
"""Golden numbers of olmo2: norms on the outputs of attention and the feed-forward network instead of their inputs, one RMS norm over the queries of all
heads and one over the keys, before the rotation.

    /usr/bin/python3 scripts/golden_olmo2.py testdata/golden
"""
import math, sys
import torch.nn.functional as F
from golden import case
from golden_decoder import attention, frequencies, heads, linear, llama_shapes, merge, rms_norm, rotate

v, e, f, layers, h, g, d = 19, 24, 14, 2, 4, 2, 6


def forward(c, p, ids):
    lin, norm = linear(p), rms_norm(c, p)
    w = frequencies(c["rope_theta"], d)
    x = p["model.embed_tokens.weight"][ids]
    for i in range(layers):
        l = f"model.layers.{i}."
        q = rotate(heads(norm(lin(x, l + "self_attn.q_proj"), l + "self_attn.q_norm"), h), w)
        k = rotate(heads(norm(lin(x, l + "self_attn.k_proj"), l + "self_attn.k_norm"), g), w)
        y = lin(merge(attention(q, k, heads(lin(x, l + "self_attn.v_proj"), g), 1 / math.sqrt(d))), l + "self_attn.o_proj")
        x = x + norm(y, l + "post_attention_layernorm")
        y = lin(F.silu(lin(x, l + "mlp.gate_proj")) * lin(x, l + "mlp.up_proj"), l + "mlp.down_proj")
        x = x + norm(y, l + "post_feedforward_layernorm")
    return norm(x, "model.norm") @ p["lm_head.weight"].T


config = {"architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2", "vocab_size": v, "hidden_size": e, "intermediate_size": f, "num_hidden_layers": layers,
          "num_attention_heads": h, "num_key_value_heads": g, "hidden_act": "silu", "max_position_embeddings": 32, "rms_norm_eps": 1e-6, "rope_theta": 500000,
          "rope_scaling": None, "attention_bias": False, "attention_dropout": 0.0, "tie_word_embeddings": False, "torch_dtype": "float32"}
more = {"post_attention_layernorm": (e,), "post_feedforward_layernorm": (e,), "self_attn.q_norm": (h * d,), "self_attn.k_norm": (g * d,)}
case(sys.argv[1], "olmo2", config, llama_shapes(v, e, f, layers, h, g, d, more=more), forward, v)

#!/usr/bin/env python3
"""Golden numbers of qwen3: LLaMA with an RMS norm of each query and key head before the rotation, one gain for all heads, and heads of a width of their own.

    /usr/bin/python3 scripts/golden_qwen3.py testdata/golden
"""
import math, sys
import torch.nn.functional as F
from golden import case
from golden_decoder import attention, frequencies, heads, linear, llama_shapes, merge, rms_norm, rotate

v, e, f, layers, h, g, d = 19, 10, 14, 2, 4, 2, 6


def forward(c, p, ids):
    lin, norm = linear(p), rms_norm(c, p)
    w = frequencies(c["rope_theta"], d)
    x = p["model.embed_tokens.weight"][ids]
    for i in range(layers):
        l = f"model.layers.{i}."
        y = norm(x, l + "input_layernorm")
        q = rotate(norm(heads(lin(y, l + "self_attn.q_proj"), h), l + "self_attn.q_norm"), w)
        k = rotate(norm(heads(lin(y, l + "self_attn.k_proj"), g), l + "self_attn.k_norm"), w)
        x = x + lin(merge(attention(q, k, heads(lin(y, l + "self_attn.v_proj"), g), 1 / math.sqrt(d))), l + "self_attn.o_proj")
        y = norm(x, l + "post_attention_layernorm")
        x = x + lin(F.silu(lin(y, l + "mlp.gate_proj")) * lin(y, l + "mlp.up_proj"), l + "mlp.down_proj")
    return norm(x, "model.norm") @ p["model.embed_tokens.weight"].T


config = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": v, "hidden_size": e, "intermediate_size": f, "num_hidden_layers": layers,
          "num_attention_heads": h, "num_key_value_heads": g, "head_dim": d, "hidden_act": "silu", "max_position_embeddings": 32, "rms_norm_eps": 1e-6,
          "rope_theta": 1000.0, "rope_scaling": None, "attention_bias": False, "attention_dropout": 0.0, "use_sliding_window": False, "sliding_window": None,
          "max_window_layers": 28, "tie_word_embeddings": True, "torch_dtype": "bfloat16"}
more = {"input_layernorm": (e,), "post_attention_layernorm": (e,), "self_attn.q_norm": (d,), "self_attn.k_norm": (d,)}
case(sys.argv[1], "qwen3", config, llama_shapes(v, e, f, layers, h, g, d, tied=True, more=more), forward, v)

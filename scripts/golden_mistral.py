#!/usr/bin/env python3
"""Golden numbers of mistral: LLaMA in which a token sees the last sliding_window tokens, itself included.

    /usr/bin/python3 scripts/golden_mistral.py testdata/golden
"""
import math, sys
import torch.nn.functional as F
from golden import case
from golden_decoder import attention, frequencies, heads, linear, llama_shapes, merge, rms_norm, rotate

v, e, f, layers, h, g, d = 19, 12, 20, 2, 4, 1, 6


def forward(c, p, ids):
    lin, norm = linear(p), rms_norm(c, p)
    w = frequencies(c["rope_theta"], d)
    x = p["model.embed_tokens.weight"][ids]
    for i in range(layers):
        l = f"model.layers.{i}."
        y = norm(x, l + "input_layernorm")
        q, k, u = rotate(heads(lin(y, l + "self_attn.q_proj"), h), w), rotate(heads(lin(y, l + "self_attn.k_proj"), g), w), heads(lin(y, l + "self_attn.v_proj"), g)
        x = x + lin(merge(attention(q, k, u, 1 / math.sqrt(d), c["sliding_window"])), l + "self_attn.o_proj")
        y = norm(x, l + "post_attention_layernorm")
        x = x + lin(F.silu(lin(y, l + "mlp.gate_proj")) * lin(y, l + "mlp.up_proj"), l + "mlp.down_proj")
    return norm(x, "model.norm") @ p["lm_head.weight"].T


config = {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "vocab_size": v, "hidden_size": e, "intermediate_size": f, "num_hidden_layers": layers,
          "num_attention_heads": h, "num_key_value_heads": g, "head_dim": d, "hidden_act": "silu", "max_position_embeddings": 32, "rms_norm_eps": 1e-5,
          "rope_theta": 10000.0, "sliding_window": 3, "attention_dropout": 0.0, "tie_word_embeddings": False, "torch_dtype": "bfloat16"}
case(sys.argv[1], "mistral", config, llama_shapes(v, e, f, layers, h, g, d), forward, v)

#!/usr/bin/env python3
"""Golden numbers of granite: LLaMA with multipliers on the embedding, on each residual branch and on the scores, and a divisor of logits.

    /usr/bin/python3 scripts/golden_granite.py testdata/golden
"""
import sys
import torch.nn.functional as F
from golden import case
from golden_decoder import attention, frequencies, heads, linear, llama_shapes, merge, rms_norm, rotate

v, e, f, layers, h, g, d = 19, 16, 20, 2, 2, 1, 8


def forward(c, p, ids):
    lin, norm = linear(p), rms_norm(c, p)
    w = frequencies(c["rope_theta"], d)
    x = p["model.embed_tokens.weight"][ids] * c["embedding_multiplier"]
    for i in range(layers):
        l = f"model.layers.{i}."
        y = norm(x, l + "input_layernorm")
        q, k, u = rotate(heads(lin(y, l + "self_attn.q_proj"), h), w), rotate(heads(lin(y, l + "self_attn.k_proj"), g), w), heads(lin(y, l + "self_attn.v_proj"), g)
        x = x + c["residual_multiplier"] * lin(merge(attention(q, k, u, c["attention_multiplier"])), l + "self_attn.o_proj")
        y = norm(x, l + "post_attention_layernorm")
        x = x + c["residual_multiplier"] * lin(F.silu(lin(y, l + "mlp.gate_proj")) * lin(y, l + "mlp.up_proj"), l + "mlp.down_proj")
    return norm(x, "model.norm") @ p["model.embed_tokens.weight"].T / c["logits_scaling"]


config = {"architectures": ["GraniteForCausalLM"], "model_type": "granite", "vocab_size": v, "hidden_size": e, "intermediate_size": f, "num_hidden_layers": layers,
          "num_attention_heads": h, "num_key_value_heads": g, "hidden_act": "silu", "max_position_embeddings": 32, "rms_norm_eps": 1e-5, "rope_theta": 1000.0,
          "rope_scaling": None, "attention_bias": False, "attention_dropout": 0.1, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
          "embedding_multiplier": 3.0, "attention_multiplier": 0.2, "residual_multiplier": 0.6, "logits_scaling": 2.0}
case(sys.argv[1], "granite", config, llama_shapes(v, e, f, layers, h, g, d, tied=True), forward, v)

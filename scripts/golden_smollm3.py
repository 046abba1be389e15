#!/usr/bin/env python3
"""Golden numbers of smollm3: LLaMA without rotation in the layers that no_rope_layers marks with 0.

    /usr/bin/python3 scripts/golden_smollm3.py testdata/golden
"""
import math, sys
import torch.nn.functional as F
from golden import case
from golden_decoder import attention, frequencies, heads, linear, llama_shapes, merge, rms_norm, rotate

v, e, f, layers, h, g, d = 19, 24, 20, 2, 4, 2, 6


def forward(c, p, ids):
    lin, norm = linear(p), rms_norm(c, p)
    x = p["model.embed_tokens.weight"][ids]
    for i in range(layers):
        l = f"model.layers.{i}."
        y = norm(x, l + "input_layernorm")
        turn = (lambda t: rotate(t, frequencies(c["rope_theta"], d))) if c["no_rope_layers"][i] else lambda t: t
        q, k, u = turn(heads(lin(y, l + "self_attn.q_proj"), h)), turn(heads(lin(y, l + "self_attn.k_proj"), g)), heads(lin(y, l + "self_attn.v_proj"), g)
        x = x + lin(merge(attention(q, k, u, 1 / math.sqrt(d))), l + "self_attn.o_proj")
        y = norm(x, l + "post_attention_layernorm")
        x = x + lin(F.silu(lin(y, l + "mlp.gate_proj")) * lin(y, l + "mlp.up_proj"), l + "mlp.down_proj")
    return norm(x, "model.norm") @ p["model.embed_tokens.weight"].T


config = {"architectures": ["SmolLM3ForCausalLM"], "model_type": "smollm3", "vocab_size": v, "hidden_size": e, "intermediate_size": f, "num_hidden_layers": layers,
          "num_attention_heads": h, "num_key_value_heads": g, "hidden_act": "silu", "max_position_embeddings": 32, "rms_norm_eps": 1e-6, "rope_theta": 5000.0,
          "rope_scaling": None, "attention_bias": False, "mlp_bias": False, "no_rope_layer_interval": 2, "no_rope_layers": [1, 0], "use_sliding_window": False,
          "sliding_window": None, "layer_types": ["full_attention", "full_attention"], "max_window_layers": 28, "tie_word_embeddings": True, "torch_dtype": "bfloat16"}
case(sys.argv[1], "smollm3", config, llama_shapes(v, e, f, layers, h, g, d, tied=True), forward, v)

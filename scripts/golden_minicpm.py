#!/usr/bin/env python3
"""Golden numbers of minicpm: LLaMA with the embedding times scale_emb, each residual branch times scale_depth/sqrt(layers) and the last hidden states
over hidden_size/dim_model_base.

    /usr/bin/python3 scripts/golden_minicpm.py testdata/golden
"""
import math, sys
import torch.nn.functional as F
from golden import case
from golden_decoder import attention, frequencies, heads, linear, llama_shapes, merge, rms_norm, rotate

v, e, f, layers, h, g, d = 19, 12, 18, 2, 2, 2, 6


def forward(c, p, ids):
    lin, norm = linear(p), rms_norm(c, p)
    w, m = frequencies(10000.0, d), c["scale_depth"] / math.sqrt(layers)
    x = p["model.embed_tokens.weight"][ids] * c["scale_emb"]
    for i in range(layers):
        l = f"model.layers.{i}."
        y = norm(x, l + "input_layernorm")
        q, k, u = rotate(heads(lin(y, l + "self_attn.q_proj"), h), w), rotate(heads(lin(y, l + "self_attn.k_proj"), g), w), heads(lin(y, l + "self_attn.v_proj"), g)
        x = x + m * lin(merge(attention(q, k, u, 1 / math.sqrt(d))), l + "self_attn.o_proj")
        y = norm(x, l + "post_attention_layernorm")
        x = x + m * lin(F.silu(lin(y, l + "mlp.gate_proj")) * lin(y, l + "mlp.up_proj"), l + "mlp.down_proj")
    return norm(x, "model.norm") / (e / c["dim_model_base"]) @ p["model.embed_tokens.weight"].T


config = {"architectures": ["MiniCPMForCausalLM"], "auto_map": {"AutoConfig": "configuration_minicpm.MiniCPMConfig"}, "model_type": "minicpm", "vocab_size": v, "hidden_size": e,
          "intermediate_size": f, "num_hidden_layers": layers, "num_attention_heads": h, "num_key_value_heads": g, "hidden_act": "silu", "max_position_embeddings": 32,
          "rms_norm_eps": 1e-5, "rope_scaling": None, "use_cache": True, "torch_dtype": "bfloat16", "scale_emb": 12, "dim_model_base": 4, "scale_depth": 1.4}
case(sys.argv[1], "minicpm", config, llama_shapes(v, e, f, layers, h, g, d, tied=True), forward, v)

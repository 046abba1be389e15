#!/usr/bin/env python3
"""Golden numbers of gemma2 and gemma3_text: norms with gains 1 + w before and after attention and the feed-forward network, a GELU gate, the embedding times
sqrt(hidden_size) in bfloat16, scores over sqrt(query_pre_attn_scalar). Gemma 2 caps scores and logits softly and has a window in every other layer; Gemma 3
norms queries and keys by head and turns layers with a window by rope_local_base_freq.

    /usr/bin/python3 scripts/golden_gemma.py testdata/golden
"""
import math, sys
import torch
import torch.nn.functional as F
from golden import case
from golden_decoder import attention, frequencies, heads, llama_shapes, merge, rms, rotate

v, e, f, layers, h, g, d = 19, 10, 14, 2, 4, 2, 6


def forward(c, p, ids):
    lin = lambda x, n: F.linear(x, p[n + ".weight"])
    norm = lambda x, n: rms(x, c["rms_norm_eps"]) * (1 + p[n + ".weight"])
    cap = lambda x, k: k * torch.tanh(x / k) if k else x
    x = p["model.embed_tokens.weight"][ids] * torch.tensor(math.sqrt(e)).bfloat16().float()
    for i in range(layers):
        l = f"model.layers.{i}."
        local = c["layer_types"][i] == "sliding_attention"
        w = frequencies(c["rope_local_base_freq"] if local and "rope_local_base_freq" in c else c["rope_theta"], d)
        y = norm(x, l + "input_layernorm")
        q, k = heads(lin(y, l + "self_attn.q_proj"), h), heads(lin(y, l + "self_attn.k_proj"), g)
        if l + "self_attn.q_norm.weight" in p:
            q, k = norm(q, l + "self_attn.q_norm"), norm(k, l + "self_attn.k_norm")
        y = attention(rotate(q, w), rotate(k, w), heads(lin(y, l + "self_attn.v_proj"), g), c["query_pre_attn_scalar"] ** -0.5, c["sliding_window"] if local else None, c["attn_logit_softcapping"])
        x = x + norm(lin(merge(y), l + "self_attn.o_proj"), l + "post_attention_layernorm")
        y = norm(x, l + "pre_feedforward_layernorm")
        y = lin(F.gelu(lin(y, l + "mlp.gate_proj"), approximate="tanh") * lin(y, l + "mlp.up_proj"), l + "mlp.down_proj")
        x = x + norm(y, l + "post_feedforward_layernorm")
    return cap(norm(x, "model.norm") @ p["model.embed_tokens.weight"].T, c["final_logit_softcapping"])


def config(model_type, name, **more):
    return {"architectures": [name], "model_type": model_type, "vocab_size": v, "hidden_size": e, "intermediate_size": f, "num_hidden_layers": layers,
            "num_attention_heads": h, "num_key_value_heads": g, "head_dim": d, "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 32, "rms_norm_eps": 1e-6,
            "query_pre_attn_scalar": 9, "sliding_window": 3, "attention_bias": False, "attention_dropout": 0.0, "torch_dtype": "bfloat16", **more}


norms = {n: (e,) for n in ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")}
case(sys.argv[1], "gemma2", config("gemma2", "Gemma2ForCausalLM", hidden_act="gelu_pytorch_tanh", rope_theta=10000.0, attn_logit_softcapping=2.0, final_logit_softcapping=3.0,
                                   layer_types=["sliding_attention", "full_attention"]),
     llama_shapes(v, e, f, layers, h, g, d, tied=True, more=norms), forward, v)
case(sys.argv[1], "gemma3", config("gemma3_text", "Gemma3ForCausalLM", rope_theta=100000.0, rope_local_base_freq=10000.0, rope_scaling=None, attn_logit_softcapping=None,
                                   final_logit_softcapping=None, layer_types=["sliding_attention", "full_attention"]),
     llama_shapes(v, e, f, layers, h, g, d, tied=True, more={**norms, "self_attn.q_norm": (d,), "self_attn.k_norm": (d,)}), forward, v)

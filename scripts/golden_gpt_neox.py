#!/usr/bin/env python3
"""Golden numbers of gpt_neox: LayerNorm, biases, the first rotary_pct of each head turns, q, k and v of a head lie together, attention and the feed-forward
network read the same residual stream (use_parallel_residual) or one after the other.

    /usr/bin/python3 scripts/golden_gpt_neox.py testdata/golden
"""
import math, sys
import torch.nn.functional as F
from golden import case
from golden_decoder import attention, frequencies, merge, rotate

v, e, f, layers, h, d = 19, 16, 20, 2, 2, 8


def forward(c, p, ids):
    lin = lambda x, n: F.linear(x, p[n + ".weight"], p[n + ".bias"])
    norm = lambda x, n: F.layer_norm(x, (e,), p[n + ".weight"], p[n + ".bias"], c["layer_norm_eps"])
    w = frequencies(c["rotary_emb_base"], int(c["rotary_pct"] * d))
    x = p["gpt_neox.embed_in.weight"][ids]
    for i in range(layers):
        l = f"gpt_neox.layers.{i}."
        y = lin(norm(x, l + "input_layernorm"), l + "attention.query_key_value")
        q, k, u = y.view(*y.shape[:2], h, 3 * d).transpose(1, 2).split(d, -1)
        a = lin(merge(attention(rotate(q, w), rotate(k, w), u, 1 / math.sqrt(d))), l + "attention.dense")
        y = norm(x if c["use_parallel_residual"] else x + a, l + "post_attention_layernorm")
        x = x + a + lin(F.gelu(lin(y, l + "mlp.dense_h_to_4h")), l + "mlp.dense_4h_to_h")
    return norm(x, "gpt_neox.final_layer_norm") @ p["embed_out.weight"].T


shapes = {"gpt_neox.embed_in.weight": (v, e)}
for i in range(layers):
    for n, s in {"input_layernorm": (e,), "attention.query_key_value": (3 * e, e), "attention.dense": (e, e), "post_attention_layernorm": (e,), "mlp.dense_h_to_4h": (f, e),
                 "mlp.dense_4h_to_h": (e, f)}.items():
        shapes[f"gpt_neox.layers.{i}.{n}.weight"], shapes[f"gpt_neox.layers.{i}.{n}.bias"] = s, (s[0],)
shapes["gpt_neox.final_layer_norm.weight"], shapes["gpt_neox.final_layer_norm.bias"], shapes["embed_out.weight"] = (e,), (e,), (v, e)
config = {"architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "vocab_size": v, "hidden_size": e, "num_hidden_layers": layers, "num_attention_heads": h,
          "intermediate_size": f, "hidden_act": "gelu", "rotary_pct": 0.5, "rotary_emb_base": 100, "max_position_embeddings": 32, "layer_norm_eps": 1e-5,
          "use_parallel_residual": True, "tie_word_embeddings": False, "attention_dropout": 0.0, "torch_dtype": "float16"}
case(sys.argv[1], "gpt_neox", config, shapes, forward, v)
case(sys.argv[1], "gpt_neox-sequential", {**config, "use_parallel_residual": False, "rotary_pct": 1.0}, shapes, forward, v)

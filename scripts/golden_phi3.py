#!/usr/bin/env python3
"""Golden numbers of phi3: LLaMA with q, k and v in one matrix, gate and up in another; the first partial_rotary_factor of each head turns. With longrope texts of more
than original_max_position_embeddings tokens turn by other factors, and what turns is multiplied by sqrt(1 + ln(max/original)/ln(original)).

    /usr/bin/python3 scripts/golden_phi3.py testdata/golden
"""
import math, sys
import torch
import torch.nn.functional as F
from golden import case
from golden_decoder import attention, frequencies, heads, linear, merge, rms_norm, rotate

v, e, f, layers, h, g, d = 19, 16, 14, 2, 2, 1, 8


def forward(c, p, ids):
    lin, norm = linear(p), rms_norm(c, p)
    w = frequencies(c["rope_theta"], int(d * c["partial_rotary_factor"]))
    gain, scaling = 1.0, c["rope_scaling"]
    if scaling:
        original = c["original_max_position_embeddings"]
        w = w / torch.tensor(scaling["long_factor" if ids.shape[1] > original else "short_factor"], dtype=torch.float64)
        gain = math.sqrt(1 + math.log(c["max_position_embeddings"] / original) / math.log(original))
    turn = lambda y: torch.cat((rotate(y, w)[..., :2 * len(w)] * gain, y[..., 2 * len(w):]), -1)
    x = p["model.embed_tokens.weight"][ids]
    for i in range(layers):
        l = f"model.layers.{i}."
        q, k, u = lin(norm(x, l + "input_layernorm"), l + "self_attn.qkv_proj").split([h * d, g * d, g * d], -1)
        x = x + lin(merge(attention(turn(heads(q, h)), turn(heads(k, g)), heads(u, g), 1 / math.sqrt(d))), l + "self_attn.o_proj")
        gate, up = lin(norm(x, l + "post_attention_layernorm"), l + "mlp.gate_up_proj").chunk(2, -1)
        x = x + lin(F.silu(gate) * up, l + "mlp.down_proj")
    return norm(x, "model.norm") @ p.get("lm_head.weight", p["model.embed_tokens.weight"]).T


longrope = {"type": "longrope", "short_factor": [1.0, 1.1, 1.3], "long_factor": [1.2, 2.0, 4.0]}
for name, rotary, tied, scaling, original in (("phi3", 1.0, False, None, 32), ("phi3-partial", 0.75, True, None, 32), ("phi3-longrope", 0.75, True, longrope, 3)):
    shapes = {"model.embed_tokens.weight": (v, e)}
    for i in range(layers):
        for n, s in {"input_layernorm": (e,), "self_attn.qkv_proj": ((h + 2 * g) * d, e), "self_attn.o_proj": (e, h * d), "post_attention_layernorm": (e,),
                     "mlp.gate_up_proj": (2 * f, e), "mlp.down_proj": (e, f)}.items():
            shapes[f"model.layers.{i}.{n}.weight"] = s
    shapes["model.norm.weight"] = (e,)
    if not tied:
        shapes["lm_head.weight"] = (v, e)
    config = {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config"}, "vocab_size": v, "hidden_size": e,
              "intermediate_size": f, "num_hidden_layers": layers, "num_attention_heads": h, "num_key_value_heads": g, "hidden_act": "silu", "max_position_embeddings": 32,
              "original_max_position_embeddings": original, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": scaling, "partial_rotary_factor": rotary, "sliding_window": 262144,
              "attention_bias": False, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "attention_dropout": 0.0, "tie_word_embeddings": tied, "torch_dtype": "bfloat16"}
    case(sys.argv[1], name, config, shapes, forward, v)

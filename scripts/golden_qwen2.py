#!/usr/bin/env python3
"""Golden numbers of qwen2: LLaMA with biases on q, k and v. See golden.py.

    /usr/bin/python3 scripts/golden_qwen2.py testdata/golden
"""
import sys
from golden import case, llama

v, e, f, layers, h, g, d = 19, 16, 20, 2, 2, 1, 8
shapes = {"model.embed_tokens.weight": (v, e)}
for i in range(layers):
    l = f"model.layers.{i}."
    for n, s in {"input_layernorm": (e,), "self_attn.q_proj": (h * d, e), "self_attn.k_proj": (g * d, e), "self_attn.v_proj": (g * d, e),
                 "self_attn.o_proj": (e, h * d), "post_attention_layernorm": (e,), "mlp.gate_proj": (f, e), "mlp.up_proj": (f, e), "mlp.down_proj": (e, f)}.items():
        shapes[l + n + ".weight"] = s
        if n[10:] in ("q_proj", "k_proj", "v_proj"):
            shapes[l + n + ".bias"] = (s[0],)
shapes["model.norm.weight"] = (e,)
config = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": v, "hidden_size": e, "intermediate_size": f, "num_hidden_layers": layers,
          "num_attention_heads": h, "num_key_value_heads": g, "hidden_act": "silu", "max_position_embeddings": 32, "rms_norm_eps": 1e-6, "rope_theta": 1000.0,
          "use_sliding_window": False, "sliding_window": 16, "max_window_layers": 1, "attention_dropout": 0.0, "tie_word_embeddings": True, "torch_dtype": "bfloat16"}
case(sys.argv[1], "qwen2", config, shapes, lambda c, p, ids: llama({**c, "head_dim": d}, p, ids), v)

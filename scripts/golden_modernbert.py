#!/usr/bin/env python3
"""Golden numbers of ModernBERT: LayerNorm (mostly without a bias) of the embedding, before each part but the first layer's attention, and at the end; q, k and v in one
matrix, gate and up in another; layers that are no multiple of global_attn_every_n_layers see local_attention // 2 tokens on either side and turn by local_rope_theta.

    /usr/bin/python3 scripts/golden_modernbert.py testdata/golden testdata/modernbert

The first directory gets `modernbert` as it is published, with the masked-language-model head, and `modernbert-biased` with every bias, a head of its own, SiLU and
transformers 5's spelling of the rotations. The second gets a bare model as sentence-transformers ships one, with four texts and their vectors (see golden_bert.py).
"""
import math, sys
import torch
import torch.nn.functional as F
from golden import case
from golden_bert import TOKENS, sentences
from golden_decoder import frequencies, heads, merge, rotate


def hidden(c, p, ids, mask=None, prefix="model."):
    """mask [b, t] is false where a text has ended."""
    e, h, t = c["hidden_size"], c["num_attention_heads"], ids.shape[1]
    lin = lambda x, n: F.linear(x, p[n + ".weight"], p.get(n + ".bias"))
    norm = lambda x, n: F.layer_norm(x, (e,), p[n + ".weight"], p.get(n + ".bias"), c["norm_eps"])
    act = F.silu if c["hidden_activation"] == "silu" else F.gelu
    ropes = c.get("rope_parameters", {})
    theta = {"full": ropes.get("full_attention", {}).get("rope_theta") or c["global_rope_theta"], "local": ropes.get("sliding_attention", {}).get("rope_theta") or c["local_rope_theta"]}
    apart = (torch.arange(t)[:, None] - torch.arange(t)[None]).abs()
    x = norm(p[prefix + "embeddings.tok_embeddings.weight"][ids], prefix + "embeddings.norm")
    for i in range(c["num_hidden_layers"]):
        l = f"{prefix}layers.{i}."
        local = i % c["global_attn_every_n_layers"] != 0
        w = frequencies(theta["local" if local else "full"], e // h)
        q, k, v = (heads(y, h) for y in lin(norm(x, l + "attn_norm") if i else x, l + "attn.Wqkv").split(e, -1))
        s = rotate(q, w) @ rotate(k, w).transpose(-2, -1) / math.sqrt(e // h)
        if local:
            s = s.masked_fill(apart > c["local_attention"] // 2, float("-inf"))
        if mask is not None:
            s = s.masked_fill(~mask[:, None, None, :], torch.finfo(torch.float32).min)
        x = x + lin(merge(F.softmax(s, -1) @ v), l + "attn.Wo")
        gate, up = lin(norm(x, l + "mlp_norm"), l + "mlp.Wi").chunk(2, -1)
        x = x + lin(act(gate) * up, l + "mlp.Wo")
    return norm(x, prefix + "final_norm")


def masked(c, p, ids):
    x = F.gelu(F.linear(hidden(c, p, ids), p["head.dense.weight"], p.get("head.dense.bias")))
    x = F.layer_norm(x, (c["hidden_size"],), p["head.norm.weight"], p.get("head.norm.bias"), c["norm_eps"])
    return F.linear(x, p.get("decoder.weight", p["model.embeddings.tok_embeddings.weight"]), p["decoder.bias"])


def model_shapes(c, prefix, bias=False):
    e, f, v = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    s = {}

    def add(name, *shape):
        s[prefix + name + ".weight"] = shape
        if bias and name != "embeddings.tok_embeddings":
            s[prefix + name + ".bias"] = shape[:1]

    add("embeddings.tok_embeddings", v, e)
    add("embeddings.norm", e)
    for i in range(c["num_hidden_layers"]):
        l = f"layers.{i}."
        if i:
            add(l + "attn_norm", e)
        add(l + "attn.Wqkv", 3 * e, e)
        add(l + "attn.Wo", e, e)
        add(l + "mlp_norm", e)
        add(l + "mlp.Wi", 2 * f, e)
        add(l + "mlp.Wo", e, f)
    add("final_norm", e)
    return s


def config(**more):
    return {"architectures": ["ModernBertForMaskedLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 2, "classifier_activation": "gelu", "classifier_bias": False,
            "classifier_dropout": 0.0, "classifier_pooling": "mean", "cls_token_id": 2, "decoder_bias": True, "deterministic_flash_attn": False, "embedding_dropout": 0.0,
            "eos_token_id": 3, "global_attn_every_n_layers": 2, "global_rope_theta": 160000.0, "gradient_checkpointing": False, "hidden_activation": "gelu", "hidden_size": 18,
            "initializer_cutoff_factor": 2.0, "initializer_range": 0.02, "intermediate_size": 13, "layer_norm_eps": 1e-05, "local_attention": 4, "local_rope_theta": 10000.0,
            "max_position_embeddings": 64, "mlp_bias": False, "mlp_dropout": 0.0, "model_type": "modernbert", "norm_bias": False, "norm_eps": 1e-05, "num_attention_heads": 3,
            "num_hidden_layers": 2, "pad_token_id": 0, "position_embedding_type": "absolute", "sep_token_id": 3, "tie_word_embeddings": True, "torch_dtype": "float32",
            "vocab_size": 19, **more}


out, bare = sys.argv[1:]
c = config()
e, v = c["hidden_size"], c["vocab_size"]
case(out, "modernbert", c, {**model_shapes(c, "model."), "head.dense.weight": (e, e), "head.norm.weight": (e,), "decoder.bias": (v,)}, masked, v)
ropes = {"full_attention": {"rope_type": "default", "rope_theta": 500.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 50.0}}
c = config(attention_bias=True, mlp_bias=True, norm_bias=True, classifier_bias=True, hidden_activation="silu", tie_word_embeddings=False, rope_parameters=ropes,
           layer_types=["full_attention", "sliding_attention"])
del c["global_rope_theta"], c["local_rope_theta"]
case(out, "modernbert-biased", c, {**model_shapes(c, "model.", bias=True), "head.dense.weight": (e, e), "head.dense.bias": (e,), "head.norm.weight": (e,), "head.norm.bias": (e,),
                                   "decoder.weight": (v, e), "decoder.bias": (v,)}, masked, v)
c = config(architectures=["ModernBertModel"], vocab_size=len(TOKENS), num_hidden_layers=4, global_attn_every_n_layers=3)
torch.manual_seed(7)
p = {n: torch.randn(s) * 0.4 + (1 if "norm" in n else 0) for n, s in model_shapes(c, "").items()}
sentences(bare, c, p, hidden)

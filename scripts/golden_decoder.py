"""A decoder in PyTorch for the golden programs of families: each says what its
description says and nothing else. See golden.py."""
import math
import torch
import torch.nn.functional as F


def rms(x, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


def linear(p):
    """A layer without a bias, by the name of its tensor in p."""
    return lambda x, name: F.linear(x, p[name + ".weight"])


def rms_norm(c, p):
    """A norm with the gain of its name in p."""
    return lambda x, name: rms(x, c["rms_norm_eps"]) * p[name + ".weight"]


def rotate(y, freqs):
    """Rotary positions on the first 2·len(freqs) columns of heads y [b, h, t, d], pairs (i, i + len)."""
    n = len(freqs)
    a = torch.outer(torch.arange(y.shape[2], dtype=torch.float64), freqs)
    cos, sin = a.cos().float(), a.sin().float()
    one, two, rest = y[..., :n], y[..., n:2 * n], y[..., 2 * n:]
    return torch.cat((one * cos - two * sin, two * cos + one * sin, rest), -1)


def frequencies(theta, dims):
    return theta ** (-torch.arange(0, dims, 2, dtype=torch.float64) / dims)


def attention(q, k, v, scale, window=None, cap=None):
    """Causal attention of heads [b, h, t, d] over [b, g, t, d]; a token sees `window` tokens, itself included."""
    r, t = q.shape[1] // k.shape[1], q.shape[2]
    k, v = k.repeat_interleave(r, 1), v.repeat_interleave(r, 1)
    s = q @ k.transpose(-2, -1) * scale
    if cap:
        s = cap * torch.tanh(s / cap)
    far = torch.arange(t)[:, None] - torch.arange(t)[None]
    hidden = far < 0 if window is None else (far < 0) | (far >= window)
    return F.softmax(s.masked_fill(hidden, float("-inf")), -1) @ v


def llama_shapes(v, e, f, layers, h, g, d, bias=(), tied=False, more=None):
    """Tensors in LLaMA's names; bias: the last parts of names that have one; more: shapes of further tensors of a layer."""
    shapes = {"model.embed_tokens.weight": (v, e)}
    for i in range(layers):
        l = f"model.layers.{i}."
        for n, s in {"self_attn.q_proj": (h * d, e), "self_attn.k_proj": (g * d, e), "self_attn.v_proj": (g * d, e), "self_attn.o_proj": (e, h * d),
                     "mlp.gate_proj": (f, e), "mlp.up_proj": (f, e), "mlp.down_proj": (e, f)}.items():
            shapes[l + n + ".weight"] = s
            if n.split(".")[-1] in bias:
                shapes[l + n + ".bias"] = (s[0],)
        for n, s in (more if more is not None else {"input_layernorm": (e,), "post_attention_layernorm": (e,)}).items():
            shapes[l + n + ".weight"] = s
    shapes["model.norm.weight"] = (e,)
    if not tied:
        shapes["lm_head.weight"] = (v, e)
    return shapes


def heads(y, n):
    return y.view(*y.shape[:2], n, -1).transpose(1, 2)


def merge(y):
    return y.transpose(1, 2).reshape(y.shape[0], y.shape[2], -1)

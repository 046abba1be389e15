#!/usr/bin/env python3
"""Writes testdata/golden: tiny models in Hugging Face names and layouts with what PyTorch makes of them.

    apt-get install -y python3-torch python3-numpy
    /usr/bin/python3 scripts/golden.py testdata/golden

Written from the formats' description, with torch alone. For each case: config.json, model.safetensors and
golden.safetensors with input ids (images: pixels) and targets (as float32), logits, loss, the gradient of every tensor (grad.NAME)
and the losses of ten AdamW steps (clip 1.0, decay on matrices except embeddings).
"""
import json, math, os, struct, sys
import torch
import torch.nn.functional as F

torch.set_num_threads(1)


def save(path, tensors):
    head, at = {"__metadata__": {"format": "pt"}}, 0
    for name, t in tensors.items():
        n = t.numel() * 4
        head[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            f.write(t.detach().contiguous().numpy().astype("<f4").tobytes())


def gpt2(c, p, ids):
    b, t = ids.shape
    e, h = c["n_embd"], c["n_head"]
    x = p["transformer.wte.weight"][ids] + p["transformer.wpe.weight"][:t]
    mask = torch.ones(t, t, dtype=torch.bool).triu(1)
    norm = lambda x, n: F.layer_norm(x, (e,), p[n + ".weight"], p[n + ".bias"], c["layer_norm_epsilon"])
    conv = lambda x, n: x @ p[n + ".weight"] + p[n + ".bias"]  # Conv1D: weights are [in, out]
    for i in range(c["n_layer"]):
        l = f"transformer.h.{i}."
        q, k, v = conv(norm(x, l + "ln_1"), l + "attn.c_attn").split(e, -1)
        heads = lambda y: y.view(b, t, h, e // h).transpose(1, 2)
        s = heads(q) @ heads(k).transpose(-2, -1) / math.sqrt(e // h)
        y = F.softmax(s.masked_fill(mask, float("-inf")), -1) @ heads(v)
        x = x + conv(y.transpose(1, 2).reshape(b, t, e), l + "attn.c_proj")
        y = conv(norm(x, l + "ln_2"), l + "mlp.c_fc")
        y = 0.5 * y * (1 + torch.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y ** 3)))
        x = x + conv(y, l + "mlp.c_proj")
    return norm(x, "transformer.ln_f") @ p["transformer.wte.weight"].T


def frequencies(c):
    d = c["head_dim"]
    w = c["rope_theta"] ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
    s = c.get("rope_scaling")
    if s and s["rope_type"] == "linear":
        w = w / s["factor"]
    if s and s["rope_type"] == "llama3":
        length = 2 * math.pi / w
        low, high = s["original_max_position_embeddings"] / s["low_freq_factor"], s["original_max_position_embeddings"] / s["high_freq_factor"]
        smooth = (s["original_max_position_embeddings"] / length - s["low_freq_factor"]) / (s["high_freq_factor"] - s["low_freq_factor"])
        mid = (1 - smooth) * w / s["factor"] + smooth * w
        w = torch.where(length > low, w / s["factor"], torch.where(length < high, w, mid))
    return w


def llama(c, p, ids):
    b, t = ids.shape
    h, g, d = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
    a = torch.outer(torch.arange(t, dtype=torch.float64), frequencies(c))
    cos, sin = torch.cat((a.cos(), a.cos()), -1).float(), torch.cat((a.sin(), a.sin()), -1).float()
    half = lambda y: torch.cat((-y[..., d // 2:], y[..., :d // 2]), -1)
    rope = lambda y: y * cos + half(y) * sin
    norm = lambda x, n: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + c["rms_norm_eps"]) * p[n + ".weight"]
    lin = lambda x, n: F.linear(x, p[n + ".weight"], p.get(n + ".bias"))
    mask = torch.ones(t, t, dtype=torch.bool).triu(1)
    x = p["model.embed_tokens.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        l = f"model.layers.{i}."
        y = norm(x, l + "input_layernorm")
        q = rope(lin(y, l + "self_attn.q_proj").view(b, t, h, d).transpose(1, 2))
        k = rope(lin(y, l + "self_attn.k_proj").view(b, t, g, d).transpose(1, 2)).repeat_interleave(h // g, 1)
        v = lin(y, l + "self_attn.v_proj").view(b, t, g, d).transpose(1, 2).repeat_interleave(h // g, 1)
        s = (q @ k.transpose(-2, -1) / math.sqrt(d)).masked_fill(mask, float("-inf"))
        x = x + lin((F.softmax(s, -1) @ v).transpose(1, 2).reshape(b, t, h * d), l + "self_attn.o_proj")
        y = norm(x, l + "post_attention_layernorm")
        x = x + lin(F.silu(lin(y, l + "mlp.gate_proj")) * lin(y, l + "mlp.up_proj"), l + "mlp.down_proj")
    x = norm(x, "model.norm")
    return x @ p.get("lm_head.weight", p["model.embed_tokens.weight"]).T


def vit(c, p, pixels):
    b, e, h, s = pixels.shape[0], c["hidden_size"], c["num_attention_heads"], c["model_type"] + "."
    norm = lambda x, n: F.layer_norm(x, (e,), p[n + ".weight"], p[n + ".bias"], c["layer_norm_eps"])
    lin = lambda x, n: F.linear(x, p[n + ".weight"], p.get(n + ".bias"))
    at = s + "embeddings."
    x = F.conv2d(pixels, p[at + "patch_embeddings.projection.weight"], p[at + "patch_embeddings.projection.bias"], stride=c["patch_size"])
    x = x.flatten(2).transpose(1, 2)
    first = [p[at + n].expand(b, -1, -1) for n in ("cls_token", "distillation_token") if at + n in p]
    x = torch.cat(first + [x], 1) + p[at + "position_embeddings"]
    t = x.shape[1]
    for i in range(c["num_hidden_layers"]):
        l = f"{s}encoder.layer.{i}."
        y = norm(x, l + "layernorm_before")
        q, k, v = (lin(y, l + "attention.attention." + n).view(b, t, h, e // h).transpose(1, 2) for n in ("query", "key", "value"))
        y = F.softmax(q @ k.transpose(-2, -1) / math.sqrt(e // h), -1) @ v
        x = x + lin(y.transpose(1, 2).reshape(b, t, e), l + "attention.output.dense")
        y = F.gelu(lin(norm(x, l + "layernorm_after"), l + "intermediate.dense"))
        x = x + lin(y, l + "output.dense")
    x = norm(x, s + "layernorm")
    if "classifier.weight" in p:
        return lin(x[:, 0], "classifier")
    return lin(x[:, 0], "cls_classifier"), lin(x[:, 1], "distillation_classifier")


def case(out, name, config, shapes, forward, vocab, image=None):
    torch.manual_seed(sum(map(ord, name)))
    p = {}
    for n, shape in shapes.items():
        x = torch.randn(shape) * 0.3
        if "norm" in n.lower() or ".ln_" in n:
            x = x * 0.3 + (1 if n.endswith("weight") else 0)
        p[n] = x.requires_grad_()
    if image:
        ids, targets = torch.randn(2, *image), torch.randint(vocab, (2,))
    else:
        ids, targets = torch.randint(vocab, (2, 7)), torch.randint(vocab, (2, 7))
    heads = lambda y: y if isinstance(y, tuple) else (y,)  # two classifiers: the mean of their losses, and of their logits
    mean = lambda ys: sum(ys) / len(ys)
    loss_of = lambda: mean([F.cross_entropy(y.view(-1, vocab), targets.view(-1)) for y in heads(forward(config, p, ids))])
    os.makedirs(os.path.join(out, name), exist_ok=True)
    json.dump(config, open(os.path.join(out, name, "config.json"), "w"), indent=1)
    save(os.path.join(out, name, "model.safetensors"), p)
    loss = loss_of()
    loss.backward()
    golden = {"pixels" if image else "ids": ids.float(), "targets": targets.float(), "logits": mean(heads(forward(config, p, ids))), "loss": loss.reshape(1)}
    golden.update({"grad." + n: t.grad.clone() for n, t in p.items()})
    decayed = [t for n, t in p.items() if t.dim() == 4 or t.dim() == 2 and "embed" not in n and "wte" not in n and "wpe" not in n and n not in ("lm_head.weight", "decoder.weight")]
    plain = [t for t in p.values() if not any(t is d for d in decayed)]
    opt = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}], lr=1e-2, betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for _ in range(10):
        opt.zero_grad()
        loss = loss_of()
        losses.append(loss.item())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(p.values(), 1.0)
        opt.step()
    golden["steps"] = torch.tensor(losses)
    save(os.path.join(out, name, "golden.safetensors"), golden)
    print(name, "loss", losses[0], "->", losses[-1])


def gpt2_case(out):
    v, e, f, layers = 19, 12, 20, 2
    shapes = {"transformer.wte.weight": (v, e), "transformer.wpe.weight": (9, e)}
    for i in range(layers):
        l = f"transformer.h.{i}."
        for n, s in {"ln_1.weight": (e,), "ln_1.bias": (e,), "attn.c_attn.weight": (e, 3 * e), "attn.c_attn.bias": (3 * e,), "attn.c_proj.weight": (e, e),
                     "attn.c_proj.bias": (e,), "ln_2.weight": (e,), "ln_2.bias": (e,), "mlp.c_fc.weight": (e, f), "mlp.c_fc.bias": (f,),
                     "mlp.c_proj.weight": (f, e), "mlp.c_proj.bias": (e,)}.items():
            shapes[l + n] = s
    shapes["transformer.ln_f.weight"], shapes["transformer.ln_f.bias"] = (e,), (e,)
    case(out, "gpt2", {"model_type": "gpt2", "vocab_size": v, "n_positions": 9, "n_embd": e, "n_layer": layers, "n_head": 3, "n_inner": f,
                       "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5}, shapes, gpt2, v)


def llama_case(out, name, tied, bias, scaling):
    v, e, f, layers, h, g, d = 19, 12, 20, 2, 4, 2, 6
    shapes = {"model.embed_tokens.weight": (v, e)}
    for i in range(layers):
        l = f"model.layers.{i}."
        for n, s in {"input_layernorm": (e,), "self_attn.q_proj": (h * d, e), "self_attn.k_proj": (g * d, e), "self_attn.v_proj": (g * d, e),
                     "self_attn.o_proj": (e, h * d), "post_attention_layernorm": (e,), "mlp.gate_proj": (f, e), "mlp.up_proj": (f, e), "mlp.down_proj": (e, f)}.items():
            shapes[l + n + ".weight"] = s
            if bias and "proj" in n:
                shapes[l + n + ".bias"] = (s[0],)
    shapes["model.norm.weight"] = (e,)
    if not tied:
        shapes["lm_head.weight"] = (v, e)
    case(out, name, {"model_type": "llama", "vocab_size": v, "hidden_size": e, "intermediate_size": f, "num_hidden_layers": layers, "num_attention_heads": h,
                     "num_key_value_heads": g, "head_dim": d, "hidden_act": "silu", "max_position_embeddings": 9, "rms_norm_eps": 1e-6, "rope_theta": 100.0,
                     "rope_scaling": scaling, "tie_word_embeddings": tied, "attention_bias": bias, "mlp_bias": bias}, shapes, llama, v)


def vit_case(out, name, family, architecture, bias, size, channels):
    v, e, f, layers, h, patch = 19, 12, 20, 2, 3, 2
    s, first = family + ".", 2 if family == "deit" else 1
    at = s + "embeddings."
    shapes = {at + "cls_token": (1, 1, e)}
    if first == 2:
        shapes[at + "distillation_token"] = (1, 1, e)
    shapes[at + "position_embeddings"] = (1, first + (size // patch) ** 2, e)
    shapes[at + "patch_embeddings.projection.weight"], shapes[at + "patch_embeddings.projection.bias"] = (e, channels, patch, patch), (e,)
    for i in range(layers):
        l = f"{s}encoder.layer.{i}."
        for n, shape in {"layernorm_before": (e,), "attention.attention.query": (e, e), "attention.attention.key": (e, e), "attention.attention.value": (e, e),
                         "attention.output.dense": (e, e), "layernorm_after": (e,), "intermediate.dense": (f, e), "output.dense": (e, f)}.items():
            shapes[l + n + ".weight"] = shape
            if bias or "attention.attention" not in n:
                shapes[l + n + ".bias"] = (shape[0],)
    shapes[s + "layernorm.weight"], shapes[s + "layernorm.bias"] = (e,), (e,)
    for n in ("cls_classifier", "distillation_classifier") if "Teacher" in architecture else ("classifier",):
        shapes[n + ".weight"], shapes[n + ".bias"] = (v, e), (v,)
    case(out, name, {"model_type": family, "architectures": [architecture], "hidden_size": e, "num_hidden_layers": layers, "num_attention_heads": h, "intermediate_size": f,
                     "hidden_act": "gelu", "layer_norm_eps": 1e-12, "image_size": size, "patch_size": patch, "num_channels": channels, "qkv_bias": bias,
                     "id2label": {str(i): f"LABEL_{i}" for i in range(v)}, "label2id": {f"LABEL_{i}": i for i in range(v)}}, shapes, vit, v, (channels, size, size))


if __name__ == "__main__":
    out = sys.argv[1]
    gpt2_case(out)
    llama_case(out, "llama", False, False, None)
    llama_case(out, "llama-tied-bias", True, True, {"rope_type": "linear", "factor": 2.0})
    llama_case(out, "llama3-scaling", False, False, {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64})
    vit_case(out, "vit", "vit", "ViTForImageClassification", True, 6, 3)
    vit_case(out, "deit", "deit", "DeiTForImageClassification", False, 4, 1)
    vit_case(out, "deit-teacher", "deit", "DeiTForImageClassificationWithTeacher", True, 4, 3)

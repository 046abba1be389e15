#!/usr/bin/env python3
"""Golden numbers of DINOv2: vit whose layers multiply each column of what attention and the feed-forward network put out (layer_scale1, layer_scale2), a classifier of the
last norm's class token beside the mean of its patches, and in the largest model a gated feed-forward network. The mask token is part of the file and stands for nothing here.

    /usr/bin/python3 scripts/golden_dinov2.py testdata/golden testdata/dinov2

The second directory gets a model of images of 10 pixels whose preprocessor_config.json cuts pictures of 6: its positions are interpolated.
"""
import json, math, os, sys
import torch
import torch.nn.functional as F
from golden import case, save

v, e, layers, h, patch, size, channels = 19, 12, 2, 3, 2, 6, 3


def positions(table, side):
    n = math.isqrt(table.shape[1] - 1)
    if side == n:
        return table
    grid = table[:, 1:].reshape(1, n, n, e).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    return torch.cat((table[:, :1], grid.permute(0, 2, 3, 1).reshape(1, side * side, e)), 1)


def forward(c, p, pixels):
    b, at = pixels.shape[0], "dinov2.embeddings."
    norm = lambda x, n: F.layer_norm(x, (e,), p[n + ".weight"], p[n + ".bias"], c["layer_norm_eps"])
    lin = lambda x, n: F.linear(x, p[n + ".weight"], p[n + ".bias"])
    x = F.conv2d(pixels, p[at + "patch_embeddings.projection.weight"], p[at + "patch_embeddings.projection.bias"], stride=patch).flatten(2).transpose(1, 2)
    x = torch.cat((p[at + "cls_token"].expand(b, -1, -1), x), 1) + positions(p[at + "position_embeddings"], pixels.shape[-1] // patch) + 0 * p[at + "mask_token"].sum()
    t = x.shape[1]
    for i in range(layers):
        l = f"dinov2.encoder.layer.{i}."
        y = norm(x, l + "norm1")
        q, k, u = (lin(y, l + "attention.attention." + n).view(b, t, h, e // h).transpose(1, 2) for n in ("query", "key", "value"))
        y = F.softmax(q @ k.transpose(-2, -1) / math.sqrt(e // h), -1) @ u
        x = x + lin(y.transpose(1, 2).reshape(b, t, e), l + "attention.output.dense") * p[l + "layer_scale1.lambda1"]
        y = norm(x, l + "norm2")
        if c["use_swiglu_ffn"]:
            gate, up = lin(y, l + "mlp.weights_in").chunk(2, -1)
            y = lin(F.silu(gate) * up, l + "mlp.weights_out")
        else:
            y = lin(F.gelu(lin(y, l + "mlp.fc1")), l + "mlp.fc2")
        x = x + y * p[l + "layer_scale2.lambda1"]
    x = norm(x, "dinov2.layernorm")
    return lin(torch.cat((x[:, 0], x[:, 1:].mean(1)), -1), "classifier")


for name, gated, ratio in (("dinov2", False, 1.75), ("dinov2-giant", True, 2)):
    f = int(e * ratio)
    if gated:
        f = (int(f * 2 / 3) + 7) // 8 * 8
    at = "dinov2.embeddings."
    shapes = {at + "cls_token": (1, 1, e), at + "mask_token": (1, e), at + "position_embeddings": (1, 1 + (size // patch) ** 2, e),
              at + "patch_embeddings.projection.weight": (e, channels, patch, patch), at + "patch_embeddings.projection.bias": (e,)}
    for i in range(layers):
        l = f"dinov2.encoder.layer.{i}."
        first, last = (("mlp.weights_in", (2 * f, e)), ("mlp.weights_out", (e, f))) if gated else (("mlp.fc1", (f, e)), ("mlp.fc2", (e, f)))
        for n, s in (("norm1", (e,)), ("attention.attention.query", (e, e)), ("attention.attention.key", (e, e)), ("attention.attention.value", (e, e)),
                     ("attention.output.dense", (e, e)), ("norm2", (e,)), first, last):
            shapes[l + n + ".weight"], shapes[l + n + ".bias"] = s, s[:1]
        shapes[l + "layer_scale1.lambda1"], shapes[l + "layer_scale2.lambda1"] = (e,), (e,)
    shapes["dinov2.layernorm.weight"], shapes["dinov2.layernorm.bias"] = (e,), (e,)
    shapes["classifier.weight"], shapes["classifier.bias"] = (v, 2 * e), (v,)
    config = {"architectures": ["Dinov2ForImageClassification"], "attention_probs_dropout_prob": 0.0, "drop_path_rate": 0.0, "hidden_act": "gelu", "hidden_dropout_prob": 0.0,
              "hidden_size": e, "image_size": size, "initializer_range": 0.02, "layer_norm_eps": 1e-06, "layerscale_value": 1.0, "mlp_ratio": ratio, "model_type": "dinov2",
              "num_attention_heads": h, "num_channels": channels, "num_hidden_layers": layers, "patch_size": patch, "qkv_bias": True, "torch_dtype": "float32",
              "use_swiglu_ffn": gated, "id2label": {str(i): f"LABEL_{i}" for i in range(v)}, "label2id": {f"LABEL_{i}": i for i in range(v)}}
    case(sys.argv[1], name, config, shapes, forward, v, (channels, size, size))
    if not gated:
        small = shapes, {**config, "image_size": 10}

shapes, config = small
shapes["dinov2.embeddings.position_embeddings"] = (1, 26, e)
torch.manual_seed(9)
p = {n: torch.randn(s) * 0.3 + (1 if "norm" in n and n.endswith("weight") else 0) for n, s in shapes.items()}
pixels = torch.randn(2, channels, 6, 6)
out = sys.argv[2]
os.makedirs(out, exist_ok=True)
json.dump(config, open(os.path.join(out, "config.json"), "w"), indent=1)
json.dump({"image_processor_type": "BitImageProcessor", "do_resize": True, "size": {"shortest_edge": 8}, "do_center_crop": True, "crop_size": {"height": 6, "width": 6}, "resample": 3,
           "do_rescale": True, "do_normalize": True, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}, open(os.path.join(out, "preprocessor_config.json"), "w"), indent=1)
save(os.path.join(out, "model.safetensors"), p)
save(os.path.join(out, "golden.safetensors"), {"pixels": pixels, "logits": forward(config, p, pixels), "positions": positions(p["dinov2.embeddings.position_embeddings"], 3)[0]})

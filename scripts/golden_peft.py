#!/usr/bin/env python3
"""Golden numbers of the PEFT library's adapters: directories as PEFT writes them (adapter_config.json, adapter_model.safetensors) beside models of
testdata/golden, and the logits with the adapters folded in, W + alpha / r · B·A (alpha / √r with use_rslora; transposed for Conv1D). Without peft.

    /usr/bin/python3 scripts/golden_peft.py pkg/bundle/testdata/peft testdata/golden
"""
import json, math, os, re, struct, sys
import torch
import golden
from golden import gpt2, llama, save

out, models = sys.argv[1:3]
forwards = {"llama": llama, "llama-tied-bias": llama, "gpt2": gpt2}
golden.case = lambda out, name, config, shapes, forward, vocab: forwards.update({name: forward})
import golden_gpt_neox, golden_phi3  # their calls of case give the forward passes


def load(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8:8 + n])
    head.pop("__metadata__", None)
    return {k: torch.frombuffer(bytearray(raw[8 + n + h["data_offsets"][0]:8 + n + h["data_offsets"][1]]), dtype=torch.float32).view(h["shape"]) for k, h in head.items()}


def pattern(patterns, name, default):
    return next((v for k, v in patterns.items() if re.match(rf"(.*\.)?({k})$", name)), default)


def adapters(name, base, modules, config):
    torch.manual_seed(sum(map(ord, name)))
    c, p = json.load(open(os.path.join(models, base, "config.json"))), load(os.path.join(models, base, "model.safetensors"))
    tensors = {}
    for key in [k for k in p if k.endswith(".weight") and re.search(modules, k)]:
        module = key[:-7]
        r, alpha = pattern(config.get("rank_pattern", {}), module, config["r"]), pattern(config.get("alpha_pattern", {}), module, config["lora_alpha"])
        conv = base == "gpt2"
        rows, cols = reversed(p[key].shape) if conv else p[key].shape
        a, b = torch.randn(r, cols) * 0.2, torch.randn(rows, r) * 0.2
        tensors[f"base_model.model.{module}.lora_A.weight"], tensors[f"base_model.model.{module}.lora_B.weight"] = a, b
        delta = alpha / (math.sqrt(r) if config.get("use_rslora") else r) * (b @ a)
        p[key] = p[key] + (delta.T if conv else delta)
    at = os.path.join(out, name)
    os.makedirs(at, exist_ok=True)
    ids = torch.randint(min(16, c["vocab_size"]), (1, 7))
    d = {"head_dim": c.get("hidden_size", 0) // c.get("num_attention_heads", 1), **c}
    save(os.path.join(at, "adapter_model.safetensors"), tensors)
    save(os.path.join(at, "golden.safetensors"), {"ids": ids.float(), "logits": forwards[base](d, p, ids)})
    json.dump({"auto_mapping": None, "base_model_name_or_path": os.path.relpath(os.path.join(models, base), at), "bias": "none", "fan_in_fan_out": base == "gpt2",
               "inference_mode": True, "init_lora_weights": True, "layers_pattern": None, "lora_dropout": 0.05, "modules_to_save": None, "peft_type": "LORA",
               "revision": None, "target_modules": modules, "task_type": "CAUSAL_LM", "use_dora": False, **config},
              open(os.path.join(at, "adapter_config.json"), "w"), indent=1)


adapters("llama", "llama", r"_proj\.", {"r": 2, "lora_alpha": 4, "rank_pattern": {"v_proj": 3, r"layers\.1\.mlp\.down_proj": 1}, "alpha_pattern": {"k_proj": 7, "gate_proj": 1.5}})
adapters("llama-qv", "llama-tied-bias", r"layers\.1\..*(q|v)_proj\.", {"r": 2, "lora_alpha": 16})
adapters("gpt2", "gpt2", r"(c_attn|c_proj|c_fc)\.", {"r": 2, "lora_alpha": 3})
adapters("gpt_neox", "gpt_neox", r"query_key_value|dense", {"r": 4, "lora_alpha": 3, "use_rslora": True, "rank_pattern": {"dense": 2}})
adapters("phi3-partial", "phi3-partial", r"(qkv|o|gate_up)_proj", {"r": 2, "lora_alpha": 2, "rank_pattern": {}, "alpha_pattern": {}})

"""A BERT in Hugging Face's layout as npm's @huggingface/transformers wants it:

python3 encoder_onnx.py MODEL OUT

copies the files of MODEL to OUT and writes OUT/onnx/model.onnx with PyTorch (1.13 or later,
nothing else)."""
import json, math, os, shutil, struct, sys
import torch
import torch.nn.functional as F

model, out = sys.argv[1:]
with open(os.path.join(model, "model.safetensors"), "rb") as f:
    size, = struct.unpack("<Q", f.read(8))
    header, data = json.loads(f.read(size)), f.read()
p = {n: torch.frombuffer(bytearray(data[t["data_offsets"][0]:t["data_offsets"][1]]), dtype=torch.float32).view(t["shape"])
     for n, t in header.items() if n != "__metadata__"}
c = json.load(open(os.path.join(model, "config.json")))
prefix = "bert." if "bert.embeddings.LayerNorm.weight" in p else ""


class Bert(torch.nn.Module):
    def forward(self, input_ids, attention_mask):
        b, t = input_ids.shape
        e, h = c["hidden_size"], c["num_attention_heads"]
        lin = lambda x, n: F.linear(x, p[n + ".weight"], p[n + ".bias"])
        norm = lambda x, n: F.layer_norm(x, (e,), p[n + ".weight"], p[n + ".bias"], c["layer_norm_eps"])
        at = prefix + "embeddings."
        x = p[at + "word_embeddings.weight"][input_ids] + p[at + "position_embeddings.weight"][:t] + p[at + "token_type_embeddings.weight"][0]
        x = norm(x, at + "LayerNorm")
        hide = (1 - attention_mask[:, None, None, :].float()) * -1e9
        for i in range(c["num_hidden_layers"]):
            l = f"{prefix}encoder.layer.{i}."
            q, k, v = (lin(x, l + "attention.self." + n).view(b, t, h, e // h).transpose(1, 2) for n in ("query", "key", "value"))
            y = F.softmax(q @ k.transpose(-2, -1) / math.sqrt(e // h) + hide, -1) @ v
            x = norm(x + lin(y.transpose(1, 2).reshape(b, t, e), l + "attention.output.dense"), l + "attention.output.LayerNorm")
            x = norm(x + lin(F.gelu(lin(x, l + "intermediate.dense")), l + "output.dense"), l + "output.LayerNorm")
        return x


shutil.copytree(model, out, dirs_exist_ok=True)
if not os.path.exists(os.path.join(out, "tokenizer_config.json")):
    json.dump({"tokenizer_class": "BertTokenizer", "model_max_length": c["max_position_embeddings"], "pad_token": "[PAD]"}, open(os.path.join(out, "tokenizer_config.json"), "w"))
os.makedirs(os.path.join(out, "onnx"), exist_ok=True)
ids = torch.tensor([[2, 5, 3], [2, 3, 0]])
axes = {n: {0: "batch", 1: "sequence"} for n in ("input_ids", "attention_mask", "last_hidden_state")}
torch.onnx.export(Bert(), (ids, (ids != 0).long()), os.path.join(out, "onnx", "model.onnx"), input_names=["input_ids", "attention_mask"],
                  output_names=["last_hidden_state"], dynamic_axes=axes, opset_version=14)

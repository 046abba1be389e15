#!/usr/bin/env python3
"""Golden numbers of BERT: learned positions, token types, LayerNorm after each residual connection, attention without a causal mask, biases everywhere.

    /usr/bin/python3 scripts/golden_bert.py testdata/golden testdata/minilm

The first directory gets `bert`, with the masked-language-model head. The second gets a bare model as sentence-transformers ships one, with its tokenizer,
four texts of different lengths, and their vectors: mean of the hidden states of a text's tokens, and the first token's, of one padded batch.
"""
import json, math, os, sys
import torch
import torch.nn.functional as F
from golden import case, save


def hidden(c, p, ids, mask=None, prefix="bert."):
    """mask [b, t] is false where a text has ended."""
    b, t = ids.shape
    e, h = c["hidden_size"], c["num_attention_heads"]
    lin = lambda x, n: F.linear(x, p[n + ".weight"], p[n + ".bias"])
    norm = lambda x, n: F.layer_norm(x, (e,), p[n + ".weight"], p[n + ".bias"], c["layer_norm_eps"])
    at = prefix + "embeddings."
    x = p[at + "word_embeddings.weight"][ids] + p[at + "position_embeddings.weight"][:t] + p[at + "token_type_embeddings.weight"][0]
    x = norm(x, at + "LayerNorm")
    for i in range(c["num_hidden_layers"]):
        l = f"{prefix}encoder.layer.{i}."
        q, k, v = (lin(x, l + "attention.self." + n).view(b, t, h, e // h).transpose(1, 2) for n in ("query", "key", "value"))
        s = q @ k.transpose(-2, -1) / math.sqrt(e // h)
        if mask is not None:
            s = s.masked_fill(~mask[:, None, None, :], float("-inf"))
        y = (F.softmax(s, -1) @ v).transpose(1, 2).reshape(b, t, e)
        x = norm(x + lin(y, l + "attention.output.dense"), l + "attention.output.LayerNorm")
        x = norm(x + lin(F.gelu(lin(x, l + "intermediate.dense")), l + "output.dense"), l + "output.LayerNorm")
    return x


def masked(c, p, ids):
    x, at = hidden(c, p, ids), "cls.predictions."
    x = F.gelu(F.linear(x, p[at + "transform.dense.weight"], p[at + "transform.dense.bias"]))
    x = F.layer_norm(x, (c["hidden_size"],), p[at + "transform.LayerNorm.weight"], p[at + "transform.LayerNorm.bias"], c["layer_norm_eps"])
    return x @ p["bert.embeddings.word_embeddings.weight"].T + p[at + "bias"]


def model_shapes(c, prefix):
    e, f, at = c["hidden_size"], c["intermediate_size"], prefix + "embeddings."
    s = {at + "word_embeddings.weight": (c["vocab_size"], e), at + "position_embeddings.weight": (c["max_position_embeddings"], e),
         at + "token_type_embeddings.weight": (2, e), at + "LayerNorm.weight": (e,), at + "LayerNorm.bias": (e,)}
    for i in range(c["num_hidden_layers"]):
        for n, shape in {"attention.self.query": (e, e), "attention.self.key": (e, e), "attention.self.value": (e, e), "attention.output.dense": (e, e),
                         "attention.output.LayerNorm": (e,), "intermediate.dense": (f, e), "output.dense": (e, f), "output.LayerNorm": (e,)}.items():
            s[f"{prefix}encoder.layer.{i}.{n}.weight"], s[f"{prefix}encoder.layer.{i}.{n}.bias"] = shape, shape[:1]
    return s


def pieces(text, vocab):
    """WordPiece of lower-case words apart from each other: the longest piece first."""
    ids = []
    for word in text.lower().split():
        at, of = 0, []
        while at < len(word):
            end = next((n for n in range(len(word), at, -1) if ("##" if at else "") + word[at:n] in vocab), None)
            if end is None:
                of = [vocab["[UNK]"]]
                break
            of.append(vocab[("##" if at else "") + word[at:end]])
            at = end
        ids += of
    return [vocab["[CLS]"]] + ids + [vocab["[SEP]"]]


TOKENS = "[PAD] [UNK] [CLS] [SEP] [MASK] a cat dog sat on the mat run ##s ##ning ##ner quick brown fox jump over lazy , .".split()


def minilm(out):
    c = {"architectures": ["BertModel"], "model_type": "bert", "vocab_size": len(TOKENS), "hidden_size": 18, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
         "hidden_act": "gelu", "max_position_embeddings": 16, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "initializer_range": 0.02, "pad_token_id": 0,
         "position_embedding_type": "absolute", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "gradient_checkpointing": False, "use_cache": True}
    torch.manual_seed(5)
    shapes = model_shapes(c, "")
    shapes["pooler.dense.weight"], shapes["pooler.dense.bias"] = (18, 18), (18,)
    p = {n: torch.randn(s) * 0.4 + (1 if "LayerNorm.weight" in n else 0) for n, s in shapes.items()}
    sentences(out, c, p, hidden)


def sentences(out, c, p, hidden):
    """The files of a bare model with a WordPiece tokenizer, and the vectors of four texts by hidden(c, p, ids, mask, prefix)."""
    tokens, vocab = TOKENS, {t: i for i, t in enumerate(TOKENS)}
    texts = ["The cat sat on the mat .", "dogs", "the quick brown fox jumps over a lazy dog , running over the mats on the runner .", "A zebra runs ."]
    limit = 12  # max_seq_length, below what the third text has
    ids = [i if len(i) <= limit else i[:limit - 1] + i[-1:] for i in (pieces(t, vocab) for t in texts)]
    t = max(map(len, ids))
    mask = torch.tensor([[j < len(i) for j in range(t)] for i in ids])
    x = hidden(c, p, torch.tensor([i + [0] * (t - len(i)) for i in ids]), mask, "")
    mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    os.makedirs(os.path.join(out, "1_Pooling"), exist_ok=True)
    write = lambda name, v: json.dump(v, open(os.path.join(out, name), "w"), indent=1)
    write("config.json", c)
    write("modules.json", [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                           {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                           {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])
    write("sentence_bert_config.json", {"max_seq_length": limit, "do_lower_case": False})
    write("1_Pooling/config.json", {"word_embedding_dimension": c["hidden_size"], "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False,
                                    "pooling_mode_mean_sqrt_len_tokens": False})
    special = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for i, t in enumerate(tokens[:5])]
    write("tokenizer.json", {"version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
                             "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
                             "pre_tokenizer": {"type": "BertPreTokenizer"},
                             "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
                                                "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
                                                "special_tokens": {t: {"id": t, "ids": [vocab[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")}},
                             "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
                             "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab}})
    with open(os.path.join(out, "texts.jsonl"), "w") as f:
        f.writelines(json.dumps({"text": t}) + "\n" for t in texts)
    save(os.path.join(out, "model.safetensors"), p)
    save(os.path.join(out, "vectors.safetensors"), {"mean": mean, "cls": x[:, 0], "mean.normalized": F.normalize(mean, dim=-1)})


if __name__ == "__main__":
    v, e = 19, 12
    config = {"architectures": ["BertForMaskedLM"], "model_type": "bert", "vocab_size": v, "hidden_size": e, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
              "hidden_act": "gelu", "max_position_embeddings": 9, "type_vocab_size": 2, "layer_norm_eps": 1e-12}
    shapes = model_shapes(config, "bert.")
    at = "cls.predictions."
    shapes.update({at + "transform.dense.weight": (e, e), at + "transform.dense.bias": (e,), at + "transform.LayerNorm.weight": (e,), at + "transform.LayerNorm.bias": (e,), at + "bias": (v,)})
    case(sys.argv[1], "bert", config, shapes, masked, v)
    minilm(sys.argv[2])

"""Compares ecospa's reading of tokenizer.model files, id by id, with SentencePiece itself,
on models that it trains here with the settings that people leave at their defaults:

    python3 sentencepiece.py SOURCES TEXT...

Needs Debian's python3-sentencepiece. SOURCES is scripts/interop. Every line of the texts
and of nasty.json is encoded and decoded; a text that spells a control token is left out,
because SentencePiece does not look for them in texts. So are, as what a tokenizer.json says
differs from SentencePiece for Hugging Face's own library too: a lone ▁, "<0x0A>" as a text, a
user-defined symbol at the beginning, and graphemes of several characters (combining
marks, jamo, \\r\\n), which a Precompiled normalizer rewrites as a whole. Prints one JSON
object; exits with 1 when an id differs.
"""
import json
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

sys.path.pop(0)  # this file's own name
import sentencepiece as sp  # noqa: E402

COMMON = {"vocab_size": 2000, "character_coverage": 0.9995}
MODELS = {
    "unigram, defaults": {"model_type": "unigram"},
    "unigram, identity": {"model_type": "unigram", "normalization_rule_name": "identity"},
    "unigram, byte fallback, spaces kept": {"model_type": "unigram", "byte_fallback": True, "remove_extra_whitespaces": False},
    "unigram, user-defined symbols": {"model_type": "unigram", "user_defined_symbols": ["<sep>", "==", "ing"]},
    "unigram, no space in front, across words": {"model_type": "unigram", "add_dummy_prefix": False, "split_by_whitespace": False},
    "bpe, defaults": {"model_type": "bpe"},
    "bpe, identity, no space in front": {"model_type": "bpe", "normalization_rule_name": "identity", "add_dummy_prefix": False},
    "bpe, byte fallback": {"model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "nfkc"},
    "bpe, user-defined symbols": {"model_type": "bpe", "user_defined_symbols": ["<sep>", "=="]},
    "bpe, spaces kept, user-defined symbols": {"model_type": "bpe", "remove_extra_whitespaces": False, "normalization_rule_name": "identity", "user_defined_symbols": ["<sep>"]},
}


def main():
    here, files = Path(sys.argv[1]), sys.argv[2:]
    texts = [t for t in json.loads((here / "nasty.json").read_text()) if not any(0xD800 <= ord(c) < 0xE000 for c in t) and "\0" not in t]
    for f in files:
        texts += Path(f).read_text().splitlines(keepends=True)
    texts += ["a<sep>b", "a <sep> b", "<sep>", "  two  spaces <sep>  here ==  there", "== running ==", " x"]
    def plain(t):
        return not (any(c in t for c in ("<s>", "</s>", "<unk>", "▁", "<0x", "\r")) or t.lstrip().startswith(("<sep>", "==")) or any(unicodedata.combining(c) or 0x1100 <= ord(c) < 0x1200 for c in t))

    texts = [t for t in texts if plain(t)]
    report, failed = {"texts": len(texts), "models": {}}, False
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["go", "build", "-o", work + "/tokenize", "./tokenize"], cwd=here, check=True)
        for name, options in MODELS.items():
            sp.SentencePieceTrainer.train(input=files, model_prefix=work + "/tokenizer", minloglevel=2, num_threads=1, **{**COMMON, **options})
            theirs = sp.SentencePieceProcessor(model_file=work + "/tokenizer.model")
            text = "".join(json.dumps(t) + "\n" for t in texts)
            run = subprocess.run([work + "/tokenize", work + "/tokenizer.model"], input=text, capture_output=True, text=True)
            if run.returncode:
                report["models"][name] = {"refused": run.stderr.strip()}
                failed = True
                continue
            result = {"ids": 0, "differ": 0, "decoded": 0}
            for t, line in zip(texts, run.stdout.split("\n")):
                ours, ids = json.loads(line), theirs.encode(t)
                result["ids"] += len(ids)
                if ours["ids"] != ids:
                    result["differ"] += 1
                    result.setdefault("first", []).append({"text": t[:60], "ours": ours["ids"][:12], "theirs": ids[:12]})
                elif theirs.decode(ids).replace(" \u2047 ", "<unk>") != ours["text"]:
                    result["decoded"] += 1
                    result.setdefault("firstDecoded", {"text": t[:60], "ours": ours["text"][:60], "theirs": theirs.decode(ids)[:60]})
            result["first"] = result.get("first", [])[:6]
            failed |= result["differ"] > 0
            report["models"][name] = result
    print(json.dumps(report, ensure_ascii=False, indent=1))
    sys.exit(1 if failed else 0)


main()
